import { keyToHex, parseKey, type RedoFunction, type RedoRecord, willInit } from '@neon-snapshot/neon-layer';
import { IngestError } from './ingest-error.ts';
import type { IngestWrite, TimelineState } from './timeline-state.ts';

export interface MemoryTimelineOptions {
  /** What lies below the own writes: a `TimelineView`; default nothing. */
  readonly base?: TimelineState | undefined;
  /** Makes pages from own records, for databases that are copied file by file. */
  readonly redo?: RedoFunction | undefined;
}

/**
 * Own writes over a timeline, all of them in memory: for WAL of bounded size and for tests. `apply` is the sink and this the
 * state of a `WalIngest`.
 */
export class MemoryTimeline implements TimelineState {
  readonly #base: TimelineState | undefined;
  readonly #redo: RedoFunction | undefined;
  readonly #writes: IngestWrite[] = [];
  readonly #byKey = new Map<string, IngestWrite[]>();

  constructor({ base, redo }: MemoryTimelineOptions = {}) {
    this.#base = base;
    this.#redo = redo;
  }

  /** All writes in the order in which they came. */
  get writes(): readonly IngestWrite[] {
    return this.#writes;
  }

  /** Adds writes. Bound: it can be handed on as the sink. */
  readonly apply = (writes: readonly IngestWrite[]): undefined => {
    for (const write of writes) {
      this.#writes.push(write);
      const id = keyToHex(write.key);
      const ofKey = this.#byKey.get(id);
      if (ofKey === undefined) this.#byKey.set(id, [write]);
      else ofKey.push(write);
    }
  };

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const own = this.#byKey.get(keyToHex(key)) ?? [];
    const newest = own.at(-1);
    if (newest === undefined) return this.#base?.get(key);
    if (newest.value.kind === 'image') return newest.value.image;
    return this.#reconstruct(own, newest);
  }

  async getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    const strangers = keys.filter((key) => !this.#byKey.has(keyToHex(key)));
    const base = (strangers.length === 0 ? undefined : await this.#base?.getMany(strangers)) ?? [];
    const values: (Uint8Array | undefined)[] = [];
    let next = 0;
    for (const key of keys) {
      if (this.#byKey.has(keyToHex(key))) values.push(await this.get(key));
      else values.push(base[next++]);
    }
    return values;
  }

  async #reconstruct(own: readonly IngestWrite[], newest: IngestWrite): Promise<Uint8Array> {
    if (this.#redo === undefined) throw needsRedo(newest);
    const from = own.findLastIndex(({ value }) => willInit(value));
    const first = own[from]?.value;
    const records: RedoRecord[] = own
      .slice(Math.max(from, 0))
      .flatMap(({ lsn, value }) => (value.kind === 'record' ? [{ lsn, record: value.record }] : []));
    const image = first?.kind === 'image' ? first.image : undefined;
    const base = from < 0 ? await this.#base?.get(newest.key) : image;
    const request = { key: newest.key, parsedKey: parseKey(newest.key), lsn: newest.lsn, base, records };
    return this.#redo(request, {});
  }
}

function needsRedo({ key }: IngestWrite): IngestError {
  return new IngestError({
    code: 'INGEST_NEEDS_REDO',
    operation: 'read',
    message: `The newest own write of key ${keyToHex(key)} is a WAL record: its value needs redo, and none was given.`,
    context: { key: keyToHex(key) },
  });
}
