/** Reconstructs single pages from 57 records of the WAL in `DIRECTORY` and prints the times in µs as JSON: node measure-page.ts DIRECTORY */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BLCKSZ, decodeControlFile, lsn, type RelTag, WalRecordScanner } from '@neon-snapshot/postgres';
import { type PageRecord, reconstructPage } from '../reconstruct-page.ts';
import { createRedoEngine } from '../redo-engine.ts';
import { DirectorySource, walOfDirectory } from '../replay/directory-source.ts';
import { PageRanges } from '../replay/page-ranges.ts';
import { applyEffects } from '../replay/record-effects.ts';

const RECORDS = 57;
const PAGES_MAX = 2_000;

interface Chain {
  readonly tag: RelTag;
  readonly blockNumber: number;
  readonly base: Uint8Array;
  readonly records: PageRecord[];
}

const [directory = '.'] = process.argv.slice(2);
const dataDirectory = join(directory, 'base');
const control = decodeControlFile(readFileSync(join(dataDirectory, 'global', 'pg_control')));
const engine = createRedoEngine({
  major: 15,
  heapLayout: 'stock',
  hintBitsLogged: control.dataChecksumVersion !== 0,
});

const times: number[] = [];
for (const { tag, blockNumber, base, records } of collectChains()) {
  const startedAt = performance.now();
  reconstructPage(engine, { tag, blockNumber, base, records });
  times.push((performance.now() - startedAt) * 1000);
}
times.sort((a, b) => a - b);
const at = (part: number) => times[Math.floor(times.length * part)] ?? Number.NaN;
console.log(JSON.stringify({ p50: at(0.5), p90: at(0.9), records: RECORDS, pages: times.length }));

/** Pages that got this many records, none of which brings an image: their bases are the pages before the first. */
function collectChains(): Chain[] {
  using source = new DirectorySource(dataDirectory);
  const pages = new PageRanges(source);
  const open = new Map<string, Chain>();
  const whole: Chain[] = [];
  const wal = walOfDirectory({
    directory: join(directory, 'data', 'pg_wal'),
    major: 15,
    timeLineId: control.checkPointCopy.thisTimeLineId,
    segmentSize: control.walSegmentSizeBytes,
    systemIdentifier: control.systemIdentifier,
  });
  const { decoder } = engine;
  const scanner = new WalRecordScanner({ ...wal, start: control.checkPointCopy.redo });
  while (scanner.next() && whole.length < PAGES_MAX) {
    decoder.decodeAt(scanner.bytes, scanner.offset, scanner.length);
    applyEffects(engine, pages);
    for (let index = 0; index < decoder.blockCount; index++) {
      const block = decoder.block(index);
      const { spcNode, dbNode, relNode, forkNum, blockNumber } = block;
      if (forkNum !== 0) continue;
      const tag: RelTag = { spcNode, dbNode, relNode, forkNum };
      const page = pages.page(tag, blockNumber);
      const key = `${relNode} ${blockNumber}`;
      if (block.applyImage || block.willInit) open.delete(key);
      else {
        const chain = open.get(key) ?? { tag, blockNumber, base: page.slice(0, BLCKSZ), records: [] };
        open.set(key, chain);
        const bytes = scanner.bytes.slice(scanner.offset, scanner.offset + scanner.length);
        chain.records.push({ endLsn: lsn(BigInt(scanner.end)), bytes });
        if (chain.records.length === RECORDS) {
          whole.push(chain);
          open.delete(key);
        }
      }
      engine.redoBlock(decoder, index, page, scanner.end);
    }
  }
  return whole;
}
