import { compareKeys, keyToHex, type NeonWalRecord } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import { IngestError } from './ingest-error.ts';
import type { IngestSink, IngestWrite, TimelineState } from './timeline-state.ts';

/** Writes that are held before they are handed on in the middle of a record. */
const PENDING_WRITES_MAX = 4096;

/**
 * The writes of the record being ingested, and reads that see them. Of two writes of one key the later stays. Lives as long
 * as the ingest and is begun anew for each record.
 */
export class Modification {
  /** End of the record. */
  lsn: Lsn = ZERO_LSN;
  readonly #state: TimelineState;
  readonly #sink: IngestSink;
  #pending: IngestWrite[] = [];

  constructor(state: TimelineState, sink: IngestSink) {
    this.#state = state;
    this.#sink = sink;
  }

  begin(lsn: Lsn): void {
    this.lsn = lsn;
    this.#pending.length = 0;
  }

  putImage(key: Uint8Array, image: Uint8Array): void {
    this.#pending.push({ key, lsn: this.lsn, value: { kind: 'image', image } });
  }

  putRecord(key: Uint8Array, record: NeonWalRecord): void {
    this.#pending.push({ key, lsn: this.lsn, value: { kind: 'record', record } });
  }

  /** The value of a key as of this record's writes so far, or undefined. */
  async find(key: Uint8Array): Promise<Uint8Array | undefined> {
    for (let i = this.#pending.length - 1; i >= 0; i -= 1) {
      const write = this.#pending[i];
      if (write?.value.kind === 'image' && compareKeys(write.key, key) === 0) return write.value.image;
    }
    return this.#state.get(key);
  }

  /** The value of a key that has to be there. */
  async get(key: Uint8Array): Promise<Uint8Array> {
    return (await this.find(key)) ?? this.#missing(key);
  }

  /** Values of keys that ascend and that this record does not write. All have to be there. */
  async getMany(keys: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const values = await this.#state.getMany(keys);
    return keys.map((key, i) => values[i] ?? this.#missing(key));
  }

  /** Hands writes on where many are held, so that a record of any size needs little memory. */
  async relieve(): Promise<void> {
    if (this.#pending.length >= PENDING_WRITES_MAX) await this.finish();
  }

  /** Hands the writes on. */
  finish(): Promise<void> | undefined {
    if (this.#pending.length === 0) return undefined;
    const taken = this.#sink(withoutEarlier(this.#pending));
    if (taken === undefined) {
      this.#pending.length = 0;
      return undefined;
    }
    return taken.then(() => {
      this.#pending.length = 0;
    });
  }

  #missing(key: Uint8Array): never {
    throw new IngestError({
      code: 'INGEST_INVALID_STATE',
      operation: 'ingest',
      message: `The WAL record that ends at ${formatLsn(this.lsn)} builds on key ${keyToHex(key)}, which the timeline lacks.`,
      context: { lsn: formatLsn(this.lsn), key: keyToHex(key) },
    });
  }
}

/** Up to here comparing all keys with each other is faster than a map of them. */
const COMPARED_WRITES_MAX = 12;

/** The writes in order, of several to one key only the last. */
function withoutEarlier(writes: readonly IngestWrite[]): readonly IngestWrite[] {
  if (writes.length <= COMPARED_WRITES_MAX && !haveCommonKey(writes)) return writes;
  const last = new Map<string, IngestWrite>();
  for (const write of writes) last.set(keyToHex(write.key), write);
  return last.size === writes.length ? writes : [...last.values()];
}

function haveCommonKey(writes: readonly IngestWrite[]): boolean {
  for (let i = 1; i < writes.length; i += 1) {
    const write = writes[i];
    for (let j = 0; j < i; j += 1) {
      const earlier = writes[j];
      if (write !== undefined && earlier !== undefined && compareKeys(write.key, earlier.key) === 0)
        return true;
    }
  }
  return false;
}
