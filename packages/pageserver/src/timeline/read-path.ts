import {
  isNeonLayerError,
  parseKey,
  type RedoFunction,
  type RedoRecord,
  type TimelineView,
} from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import type { MemoryChange, MemoryLayer } from '../ingest/memory-layer.ts';
import type { CallOptions } from './timeline-types.ts';

/** What a timeline consists of at one moment. Stays readable while the timeline goes on. */
export interface ReadableState {
  /** What lies above the layers, the newest first. */
  readonly memory: readonly MemoryLayer[];
  /** The layers, at their end. */
  readonly view: TimelineView;
  readonly redo: RedoFunction;
}

/** What memory has of a key: all that is needed, or changes to what the layers have. */
interface Collected {
  /** The newest first. */
  readonly changes: readonly MemoryChange[];
  readonly isComplete: boolean;
}

/** The value of a key at an LSN, or undefined where the timeline has none. */
export async function readValue(
  state: ReadableState,
  key: Uint8Array,
  lsn: Lsn,
  options: CallOptions = {},
): Promise<Uint8Array | undefined> {
  const collected = collect(state, key, lsn);
  const base = collected.isComplete ? undefined : await viewAt(state, lsn).get(key, options);
  return resolve(state, { key, lsn, collected, base, ...options });
}

/** The values of keys that ascend strictly, in their order. */
export async function readValues(
  state: ReadableState,
  keys: readonly Uint8Array[],
  lsn: Lsn,
  options: CallOptions = {},
): Promise<readonly (Uint8Array | undefined)[]> {
  const collected = keys.map((key) => collect(state, key, lsn));
  const wanted = keys.filter((_, index) => collected[index]?.isComplete !== true);
  const bases = await viewAt(state, lsn).getMany(wanted, options);
  let next = 0;
  const values: (Uint8Array | undefined)[] = [];
  for (const [index, key] of keys.entries()) {
    const own = collected[index] ?? NOTHING;
    const base = own.isComplete ? undefined : bases[next++];
    values.push(await resolve(state, { key, lsn, collected: own, base, ...options }));
  }
  return values;
}

/** A layer that is listed was not there: it was compacted away since, and the newer layers have it. */
export function isMissingLayer(error: unknown): boolean {
  return isNeonLayerError(error) && error.code === 'NEON_LAYER_TRUNCATED';
}

const NOTHING: Collected = { changes: [], isComplete: false };

/** Whether the LSN may be read was looked at before. */
function viewAt({ view }: ReadableState, lsn: Lsn): TimelineView {
  return lsn < view.lsn ? view.at(lsn, { pinned: true }) : view;
}

function collect({ memory, view }: ReadableState, key: Uint8Array, lsn: Lsn): Collected {
  if (lsn <= view.lsn || memory.length === 0) return NOTHING;
  const changes: MemoryChange[] = [];
  for (const layer of memory) {
    if (layer.collect(key, { lsn, floor: view.lsn }, changes)) return { changes, isComplete: true };
  }
  return { changes, isComplete: false };
}

interface Resolution extends CallOptions {
  readonly key: Uint8Array;
  readonly lsn: Lsn;
  readonly collected: Collected;
  readonly base: Uint8Array | undefined;
}

async function resolve(state: ReadableState, of: Resolution): Promise<Uint8Array | undefined> {
  const { key, lsn, collected, signal } = of;
  let { base } = of;
  const records: RedoRecord[] = [];
  for (const change of collected.changes) {
    if (change.value.kind === 'image') base = change.value.image;
    else records.push({ lsn: change.lsn, record: change.value.record });
  }
  if (records.length > 0) {
    records.reverse();
    return state.redo({ key, parsedKey: parseKey(key), lsn, base, records }, { signal });
  }
  if (base === undefined || collected.changes.length === 0) return base;
  return isRemoved(key, base) ? undefined : Uint8Array.from(base);
}

/** In the sparse ranges an empty value is none. */
function isRemoved(key: Uint8Array, value: Uint8Array): boolean {
  const kind = key[0] ?? 0;
  return value.length === 0 && kind >= 0x60 && kind < 0x7f;
}
