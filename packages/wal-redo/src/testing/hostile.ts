/** Damaged records and pages, and the rule for all of them: a right answer or a typed error, soon. */
import { decodeWalRecord, encodeWalRecord, isPostgresFormatError } from '@neon-snapshot/postgres';
import type { RedoEngine } from '../redo-engine.ts';
import { isRedoError } from '../redo-error.ts';
import type { RedoSample } from './corpus.ts';

/** What became of a damaged sample: `accepted` means that redo ran to its end. */
export type Outcome = 'accepted' | 'refused';

/** More of CPU time than any redo may take, whatever it is given; other programs may make it wait for longer. */
const CPU_MAX_MS = 250;

/** Decodes and redoes; anything but success or a typed error is thrown on, with the way to make it again. */
export function redoHostile(engine: RedoEngine, sample: RedoSample, page: Uint8Array): Outcome {
  const before = process.cpuUsage();
  let outcome: Outcome = 'accepted';
  try {
    engine.decoder.decode(sample.bytes);
    const { blockCount } = engine.decoder;
    // A damaged record may have other blocks; the index stays one of its.
    if (blockCount > 0) {
      engine.redoBlock(engine.decoder, sample.blockIndex % blockCount, page, sample.endLsn);
    }
  } catch (error) {
    if (!isRedoError(error) && !isPostgresFormatError(error)) throw describe(error, sample);
    outcome = 'refused';
  }
  const { user, system } = process.cpuUsage(before);
  if (user + system > CPU_MAX_MS * 1000) throw describe('took too long', sample);
  if (page.length !== 8192) throw describe('the page has another size', sample);
  return outcome;
}

function describe(problem: unknown, sample: RedoSample): Error {
  const record = Buffer.from(sample.bytes).toString('hex').slice(0, 4000);
  return new Error(`${sample.operation} block ${sample.blockIndex}: ${String(problem)}; record ${record}`, {
    cause: problem,
  });
}

/** The record with its main data, or the data of one block, cut to every shorter length. */
export function* truncatedRecords(sample: RedoSample, major: number): Generator<Uint8Array> {
  const { mainData, blocks } = decodeWalRecord(sample.bytes, major);
  for (let length = 0; length < sample.bytes.length; length++) yield sample.bytes.slice(0, length);
  for (let length = 0; length < mainData.length; length++) {
    yield withParts(sample.bytes, major, { main: mainData.subarray(0, length) });
  }
  for (const [index, block] of blocks.entries()) {
    for (let length = 1; length < block.data.length; length++) {
      yield withParts(sample.bytes, major, { block: { index, data: block.data.subarray(0, length) } });
    }
  }
}

/** A well-formed record like the given one but for a part. */
function withParts(
  bytes: Uint8Array,
  major: number,
  change: {
    readonly main?: Uint8Array;
    readonly block?: { readonly index: number; readonly data: Uint8Array };
  },
): Uint8Array {
  const { header, blocks, mainData } = decodeWalRecord(bytes, major);
  const headers: number[] = [];
  const payload: Uint8Array[] = [];
  for (const [index, block] of blocks.entries()) {
    const data = change.block?.index === index ? change.block.data : block.data;
    // Without their images blocks have to be redone.
    const flags = block.tag.forkNum | (data.length > 0 ? 0x20 : 0) | (block.willInit ? 0x40 : 0);
    headers.push(block.id, flags, ...u16(data.length));
    headers.push(...u32(block.tag.spcNode), ...u32(block.tag.dbNode), ...u32(block.tag.relNode));
    headers.push(...u32(block.blockNumber));
    payload.push(data);
  }
  const main = change.main ?? mainData;
  headers.push(254, ...u32(main.length));
  return encodeWalRecord(header, Buffer.concat([Uint8Array.from(headers), ...payload, main]));
}

const u16 = (value: number): number[] => [value & 0xff, value >>> 8];
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];

/** Repeatable random numbers (mulberry32): integers below a bound. */
export function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const EDGE_VALUES = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff];

/** Changes one to four bytes behind the header's length field: random, flipped, or at an edge. */
export function damage(bytes: Uint8Array, random: (below: number) => number, from: number): void {
  for (let count = 1 + random(4); count > 0; count--) {
    const at = from + random(bytes.length - from);
    const old = bytes[at] ?? 0;
    const way = random(3);
    bytes[at] =
      way === 0
        ? random(256)
        : way === 1
          ? old ^ (1 << random(8))
          : (EDGE_VALUES[random(EDGE_VALUES.length)] ?? 0);
  }
}
