import { setImmediate } from 'node:timers/promises';
import {
  type BuiltLayer,
  DeltaLayerBuilder,
  encodeValue,
  KEY_MAX,
  KEY_MIN,
  type LayerIdentity,
  willInit,
} from '@neon-snapshot/neon-layer';
import { type Lsn, lsn as toLsn } from '@neon-snapshot/postgres';
import type { ChangeVisitor, MemoryLayer } from './memory-layer.ts';

/** Entries between two looks at what else there is to do: some milliseconds of work. */
const ENTRIES_PER_TURN = 8192;

/**
 * The L0 layer of what is in memory, from its start up to but without `lsnEnd`, or undefined where nothing is. Reads of pages
 * and ingest into the next layer go on meanwhile; the memory layer must not change.
 */
export async function buildL0Layer(
  memory: MemoryLayer,
  { lsnEnd, ...identity }: LayerIdentity & { readonly lsnEnd: Lsn },
): Promise<BuiltLayer | undefined> {
  if (memory.entryCount === 0) return undefined;
  const builder = new DeltaLayerBuilder({ ...identity, keyStart: KEY_MIN, lsnStart: memory.lsnStart });
  const encoder = new RecordEncoder();
  let key: Uint8Array = KEY_MIN;
  const visitor: ChangeVisitor = {
    record: (lsn, isInitial, bytes, offset, length) => {
      const value = encoder.encode(isInitial, bytes.subarray(offset, offset + length));
      builder.append({ key, lsn: toLsn(BigInt(lsn)), value, willInit: isInitial });
    },
    other: (lsn, value) =>
      builder.append({ key, lsn: toLsn(BigInt(lsn)), value: encodeValue(value), willInit: willInit(value) }),
  };
  let left = ENTRIES_PER_TURN;
  for (const number of memory.sortedKeys()) {
    key = memory.keyAt(number);
    left -= memory.visit(number, visitor);
    if (left > 0) continue;
    left = ENTRIES_PER_TURN;
    await setImmediate();
  }
  return builder.finish({ keyEnd: KEY_MAX, lsnEnd });
}

/** u32 1 (record), u32 0 (of Postgres), bool will_init, u64 length. */
const RECORD_HEADER_SIZE = 17;

/** As `encodeValue` for records of Postgres, each over the one before. */
class RecordEncoder {
  #bytes = new Uint8Array(64 * 1024);

  constructor() {
    this.#bytes[3] = 1;
  }

  encode(isInitial: boolean, record: Uint8Array): Uint8Array {
    const { length } = record;
    const size = RECORD_HEADER_SIZE + length;
    if (size > this.#bytes.length) {
      this.#bytes = new Uint8Array(size * 2);
      this.#bytes[3] = 1;
    }
    const bytes = this.#bytes;
    bytes[8] = isInitial ? 1 : 0;
    bytes[13] = length >>> 24;
    bytes[14] = length >>> 16;
    bytes[15] = length >>> 8;
    bytes[16] = length;
    bytes.set(record, RECORD_HEADER_SIZE);
    return bytes.subarray(0, size);
  }
}
