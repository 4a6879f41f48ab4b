import { EntryCounter, sameCounts } from './entry-count.ts';
import { assertSafeEntryPath } from './entry-path.ts';
import { FormatError } from './format-error.ts';
import type { EndEntry, FileEntry, PlannedFile, SnapshotEntry, SnapshotPartition } from './snapshot.ts';

/** What {@link checkedPartition} reports while entries pass. */
export interface PartitionObserver {
  /** Called for each chunk of each body, before the receiver gets it. */
  onBytes?(count: number): void;
  /** Called when a body has been drained. */
  onFile?(): void;
}

export interface CheckedPartition extends SnapshotPartition {
  /** True once a right end entry was seen: a writer may commit only then. */
  readonly ended: boolean;
}

/**
 * The same partition, with the contract of the stream checked on the way:
 *
 * - paths are safe, `global/pg_control` is never an entry, a link is `pg_tblspc/OID`;
 * - a body yields exactly its `sizeBytes` and is drained before the next entry is asked for;
 * - files come in the order and with the sizes of the plan, where there is one;
 * - the last entry is an end entry and its counts are right, else `FORMAT_TRUNCATED`.
 *
 * The rest of the contract (each path once over all partitions) is the writer's to check, since it knows all of them.
 */
export function checkedPartition(
  partition: SnapshotPartition,
  observer: PartitionObserver = {},
  signal?: AbortSignal,
): CheckedPartition {
  const check = new PartitionCheck(partition, observer, signal);
  return {
    id: partition.id,
    ...(partition.plan === undefined ? {} : { plan: partition.plan }),
    entries: check.entries(),
    get ended() {
      return check.ended;
    },
  };
}

class PartitionCheck {
  ended = false;
  readonly #partition: SnapshotPartition;
  readonly #observer: PartitionObserver;
  readonly #signal: AbortSignal | undefined;
  readonly #counter = new EntryCounter();

  constructor(partition: SnapshotPartition, observer: PartitionObserver, signal: AbortSignal | undefined) {
    this.#partition = partition;
    this.#observer = observer;
    this.#signal = signal;
  }

  async *entries(): AsyncGenerator<SnapshotEntry, void, undefined> {
    for await (const entry of this.#partition.entries) {
      this.#assertNotAborted();
      if (this.ended) throw this.#error('FORMAT_INVALID', 'has an entry after its end entry');
      if (entry.kind === 'end') {
        this.#checkEnd(entry);
        yield entry;
        continue;
      }
      assertSafeEntryPath(entry.path);
      if (entry.kind === 'file') {
        yield* this.#file(entry);
        continue;
      }
      if (entry.kind === 'link' && !LINK_PATH.test(entry.path)) {
        throw this.#error('FORMAT_INVALID', `has a link at ${entry.path}; only pg_tblspc/OID may be one`);
      }
      this.#counter.add(entry);
      yield entry;
    }
    if (!this.ended) throw this.#error('FORMAT_TRUNCATED', 'ends without an end entry');
  }

  async *#file(entry: FileEntry): AsyncGenerator<SnapshotEntry, void, undefined> {
    if (entry.path === CONTROL_FILE_PATH) {
      throw this.#error('FORMAT_INVALID', `has ${CONTROL_FILE_PATH} as an entry; it comes in the trailer`);
    }
    this.#checkPlan(entry);
    this.#counter.add(entry);
    const state = { drained: false };
    yield { ...entry, body: this.#body(entry, state) };
    if (!state.drained) {
      throw this.#error('FORMAT_INVALID', `was asked for the next entry before ${entry.path} was drained`);
    }
    this.#observer.onFile?.();
  }

  async *#body(entry: FileEntry, state: { drained: boolean }): AsyncGenerator<Uint8Array, void, undefined> {
    let bytes = 0;
    for await (const chunk of entry.body) {
      this.#assertNotAborted();
      bytes += chunk.length;
      if (bytes > entry.sizeBytes) break;
      this.#observer.onBytes?.(chunk.length);
      yield chunk;
    }
    if (bytes !== entry.sizeBytes) {
      const found = bytes > entry.sizeBytes ? `more than ${entry.sizeBytes}` : `${bytes}`;
      throw this.#error(
        'FORMAT_TRUNCATED',
        `has ${entry.path} with ${found} bytes, expected ${entry.sizeBytes}`,
      );
    }
    state.drained = true;
  }

  #checkPlan(entry: FileEntry): void {
    if (this.#partition.plan === undefined) return;
    const planned: PlannedFile | undefined = this.#partition.plan[this.#counter.files];
    if (planned?.path === entry.path && planned.sizeBytes === entry.sizeBytes) return;
    const expected = planned === undefined ? 'the end' : `${planned.path} (${planned.sizeBytes} bytes)`;
    throw this.#error(
      'FORMAT_INVALID',
      `does not follow its plan: expected ${expected}, found ${entry.path} (${entry.sizeBytes} bytes)`,
    );
  }

  #checkEnd(end: EndEntry): void {
    const planned = this.#partition.plan?.length ?? this.#counter.files;
    if (!sameCounts(end, this.#counter) || planned !== this.#counter.files) {
      const { files, bytes } = this.#counter;
      throw this.#error(
        'FORMAT_TRUNCATED',
        `ends after ${files} files and ${bytes} bytes, expected ${Math.max(end.files, planned)} files and ${end.bytes} bytes`,
      );
    }
    this.ended = true;
  }

  #assertNotAborted(): void {
    if (this.#signal?.aborted !== true) return;
    throw new FormatError({
      code: 'FORMAT_ABORTED',
      operation: 'read partition',
      message: `reading of partition ${this.#partition.id} was aborted`,
      cause: this.#signal.reason,
    });
  }

  #error(code: 'FORMAT_INVALID' | 'FORMAT_TRUNCATED', what: string): FormatError {
    return new FormatError({
      code,
      operation: 'read partition',
      message: `snapshot partition ${this.#partition.id} ${what}`,
      context: { partition: this.#partition.id },
    });
  }
}

const CONTROL_FILE_PATH = 'global/pg_control';
const LINK_PATH = /^pg_tblspc\/[1-9][0-9]{0,9}$/;
