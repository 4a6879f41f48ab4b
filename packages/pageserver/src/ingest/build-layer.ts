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
import type { Lsn } from '@neon-snapshot/postgres';
import { keyOfId } from './key-id.ts';
import type { MemoryLayer } from './memory-layer.ts';

/** Entries between two looks at what else there is to do: some milliseconds of work. */
const ENTRIES_PER_TURN = 4096;

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
  let count = 0;
  for (const id of memory.sortedIds()) {
    const key = keyOfId(id);
    for (const { lsn, value } of memory.changesOf(id)) {
      builder.append({ key, lsn, value: encodeValue(value), willInit: willInit(value) });
      count += 1;
      if (count % ENTRIES_PER_TURN === 0) await setImmediate();
    }
  }
  return builder.finish({ keyEnd: KEY_MAX, lsnEnd });
}
