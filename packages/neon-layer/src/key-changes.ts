import { compareKeys } from './key.ts';
import type { KeyRange } from './key-range.ts';
import type { LayerEntry } from './layer-entry.ts';
import type { LayerFile } from './layer-file.ts';
import type { ReadStep } from './read-steps.ts';

/** One entry of a delta layer. */
export interface Change {
  readonly file: LayerFile;
  readonly entry: LayerEntry;
}

/** What delta layers hold for a key: newest first, down to the first that needs no older state. */
export interface KeyChanges {
  readonly key: Uint8Array;
  readonly changes: readonly Change[];
}

export interface DeltaStep {
  readonly file: LayerFile;
  readonly step: ReadStep;
}

interface Cursor {
  readonly file: LayerFile;
  readonly entries: AsyncGenerator<LayerEntry>;
  current: LayerEntry | undefined;
}

/** Merges delta layers (newest first, their LSN windows do not overlap) key by key, in key order. */
export async function* mergeChanges(
  deltas: readonly DeltaStep[],
  range: KeyRange,
  options: { readonly signal?: AbortSignal | undefined },
): AsyncGenerator<KeyChanges> {
  const cursors: Cursor[] = [];
  for (const { file, step } of deltas) {
    const entries = entriesInWindow(file, step, range, options);
    const first = await entries.next();
    if (first.done !== true) cursors.push({ file, entries, current: first.value });
  }
  for (let key = smallestKey(cursors); key !== undefined; key = smallestKey(cursors)) {
    yield { key, changes: await takeChanges(cursors, key) };
  }
}

async function* entriesInWindow(
  file: LayerFile,
  step: ReadStep,
  range: KeyRange,
  options: { readonly signal?: AbortSignal | undefined },
): AsyncGenerator<LayerEntry> {
  for await (const slice of file.slices(range, options)) {
    for (let i = slice.from; i < slice.to; i += 1) {
      const entry = file.entryAt(slice, i);
      if (entry.lsn >= step.lsnFloor && entry.lsn < step.lsnEnd) yield entry;
    }
  }
}

async function takeChanges(cursors: readonly Cursor[], key: Uint8Array): Promise<readonly Change[]> {
  const changes: Change[] = [];
  let complete = false;
  for (const cursor of cursors) {
    const own: Change[] = [];
    while (cursor.current !== undefined && compareKeys(cursor.current.key, key) === 0) {
      own.push({ file: cursor.file, entry: cursor.current });
      const next = await cursor.entries.next();
      cursor.current = next.done === true ? undefined : next.value;
    }
    for (const change of own.reverse()) {
      if (!complete) changes.push(change);
      complete ||= change.entry.willInit;
    }
  }
  return changes;
}

function smallestKey(cursors: readonly Cursor[]): Uint8Array | undefined {
  let smallest: Uint8Array | undefined;
  for (const { current } of cursors) {
    if (current !== undefined && (smallest === undefined || compareKeys(current.key, smallest) < 0)) {
      smallest = current.key;
    }
  }
  return smallest;
}
