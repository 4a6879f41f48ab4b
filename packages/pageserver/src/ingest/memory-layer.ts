import { type Value, willInit } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn as toLsn } from '@neon-snapshot/postgres';
import type { IngestWrite } from '@neon-snapshot/wal-ingest';
import { keyId } from './key-id.ts';

/** What an entry takes beside its value: the columns, the map, the objects of the value. Measured on pgbench WAL. */
const ENTRY_BYTES = 200;
const FIRST_CAPACITY = 1024;
const NONE = -1;

/** One change, as a read collects it. */
export interface MemoryChange {
  readonly lsn: Lsn;
  readonly value: Value;
}

/** Which changes of a key a read wants: those with `floor` < LSN <= `lsn`. */
export interface ChangeRange {
  readonly lsn: Lsn;
  readonly floor: Lsn;
}

/**
 * The changes of an LSN range in memory, by key: what becomes an L0 layer. Values are kept by reference, so that a WAL record
 * stays where it was received. Columns instead of an object for each change: garbage collection does not walk them.
 */
export class MemoryLayer {
  /** First LSN that the layer may hold. */
  readonly lsnStart: Lsn;
  /** Key id → its newest entry. */
  readonly #newest = new Map<string, number>();
  readonly #ids: string[] = [];
  readonly #values: Value[] = [];
  #lsns = new Float64Array(FIRST_CAPACITY);
  /** The entry of the same key before this one, or {@link NONE}. */
  #earlier = new Int32Array(FIRST_CAPACITY);
  #sizeBytes = 0;
  #lastBytes: Uint8Array | undefined;

  constructor(lsnStart: Lsn) {
    this.lsnStart = lsnStart;
  }

  get entryCount(): number {
    return this.#values.length;
  }

  get keyCount(): number {
    return this.#newest.size;
  }

  /** Memory that the layer takes, about. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Adds a change; LSNs do not descend. */
  add({ key, lsn, value }: IngestWrite): void {
    const index = this.#values.length;
    if (index === this.#lsns.length) this.#grow();
    const id = keyId(key);
    this.#ids.push(id);
    this.#values.push(value);
    this.#lsns[index] = exact(lsn);
    this.#earlier[index] = this.#newest.get(id) ?? NONE;
    this.#newest.set(id, index);
    this.#sizeBytes += ENTRY_BYTES + this.#newBytes(value);
  }

  /** LSN of the newest change of a key; undefined where there is none. */
  newestLsn(id: string): Lsn | undefined {
    const index = this.#newest.get(id);
    return index === undefined ? undefined : this.#lsnAt(index);
  }

  /**
   * Adds a key's changes to `changes`, the newest first, down to the first that needs no older state. True where that one was
   * found.
   */
  collect(id: string, { lsn, floor }: ChangeRange, changes: MemoryChange[]): boolean {
    const [high, low] = [Number(lsn), Number(floor)];
    for (let i = this.#newest.get(id) ?? NONE; i !== NONE; i = this.#earlier[i] ?? NONE) {
      const at = this.#lsns[i] ?? 0;
      if (at > high) continue;
      if (at <= low) return false;
      const value = this.#values[i];
      if (value === undefined) return false;
      changes.push({ lsn: this.#lsnAt(i), value });
      if (willInit(value)) return true;
    }
    return false;
  }

  /** Drops the changes behind `lsn`: those of a record that was not finished. */
  truncate(lsn: Lsn): void {
    const end = Number(lsn);
    for (let i = this.#values.length - 1; i >= 0 && (this.#lsns[i] ?? 0) > end; i -= 1) {
      const id = this.#ids.pop() ?? '';
      this.#values.pop();
      const earlier = this.#earlier[i] ?? NONE;
      if (earlier === NONE) this.#newest.delete(id);
      else this.#newest.set(id, earlier);
      this.#sizeBytes -= ENTRY_BYTES;
    }
  }

  /** Ids of all keys, in the order of the keys. */
  sortedIds(): string[] {
    return [...this.#newest.keys()].sort();
  }

  /** The changes of a key, oldest first. */
  changesOf(id: string): readonly MemoryChange[] {
    const changes: MemoryChange[] = [];
    for (let i = this.#newest.get(id) ?? NONE; i !== NONE; i = this.#earlier[i] ?? NONE) {
      const value = this.#values[i];
      if (value !== undefined) changes.push({ lsn: this.#lsnAt(i), value });
    }
    return changes.reverse();
  }

  #lsnAt(index: number): Lsn {
    return toLsn(BigInt(this.#lsns[index] ?? 0));
  }

  /** A record of several blocks is one array. */
  #newBytes(value: Value): number {
    const bytes = value.kind === 'image' ? value.image : recordBytes(value);
    if (bytes === undefined || bytes === this.#lastBytes) return 0;
    this.#lastBytes = bytes;
    return bytes.length;
  }

  #grow(): void {
    const capacity = this.#lsns.length * 2;
    const lsns = new Float64Array(capacity);
    lsns.set(this.#lsns);
    const earlier = new Int32Array(capacity);
    earlier.set(this.#earlier);
    this.#lsns = lsns;
    this.#earlier = earlier;
  }
}

function recordBytes(value: Value & { readonly kind: 'record' }): Uint8Array | undefined {
  return value.record.kind === 'postgres' ? value.record.record : undefined;
}

/** LSNs are kept as numbers: exact below 2^53, which is 9 PB of WAL. */
function exact(lsn: Lsn): number {
  const value = Number(lsn);
  if (!Number.isSafeInteger(value)) throw new RangeError(`LSN ${lsn} is too great`);
  return value;
}
