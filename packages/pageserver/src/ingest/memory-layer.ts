import { type Value, willInit } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn as toLsn } from '@neon-snapshot/postgres';
import type { IngestWrite } from '@neon-snapshot/wal-ingest';
import { ByteArena } from './byte-arena.ts';
import { KeyTable } from './key-table.ts';

const FIRST_CAPACITY = 1024;
const NONE = -1;
/** The columns of one entry. */
const ENTRY_BYTES = 29;
/** What a value takes that is kept as an object, beside its bytes. */
const OBJECT_BYTES = 250;

/** Kinds of entries: a WAL record in the arena, one that needs no older state, anything else as an object. */
const RECORD = 1;
const INITIAL_RECORD = 2;
const OTHER = 0;

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

/** Takes the changes of a layer one after the other: WAL records as parts of larger arrays, other values as they are. */
export interface ChangeVisitor {
  record(lsn: number, willInit: boolean, bytes: Uint8Array, offset: number, length: number): void;
  other(lsn: number, value: Value): void;
}

/**
 * The changes of an LSN range in memory, by key: what becomes an L0 layer. Columns, and records in an arena: with objects for a million
 * changes, garbage collection took as long as ingest.
 */
export class MemoryLayer {
  /** First LSN that the layer may hold. */
  readonly lsnStart: Lsn;
  readonly #keys = new KeyTable();
  /** By key: its newest entry, or {@link NONE}. */
  #newest = new Int32Array(FIRST_CAPACITY);
  readonly #arena = new ByteArena();
  readonly #others: Value[] = [];
  #count = 0;
  #lsns = new Float64Array(FIRST_CAPACITY);
  #keyOf = new Int32Array(FIRST_CAPACITY);
  /** The entry of the same key before this one, or {@link NONE}. */
  #earlier = new Int32Array(FIRST_CAPACITY);
  #kinds = new Uint8Array(FIRST_CAPACITY);
  /** Of a record: its page, offset and length in the arena. Of another value: its number. */
  #pages = new Int32Array(FIRST_CAPACITY);
  #offsets = new Int32Array(FIRST_CAPACITY);
  #lengths = new Int32Array(FIRST_CAPACITY);
  #otherBytes = 0;
  /** A record of several blocks comes several times. */
  #lastRecord: Uint8Array | undefined;

  constructor(lsnStart: Lsn) {
    this.lsnStart = lsnStart;
  }

  get entryCount(): number {
    return this.#count;
  }

  get keyCount(): number {
    return this.#keys.count;
  }

  /** Memory that the layer takes, about. */
  get sizeBytes(): number {
    return this.#count * ENTRY_BYTES + this.#arena.sizeBytes + this.#keys.sizeBytes + this.#otherBytes;
  }

  /** Adds a change; LSNs do not descend. Records are copied, other values kept. */
  add({ key, lsn, value }: IngestWrite): void {
    const index = this.#count;
    if (index === this.#lsns.length) this.#growEntries();
    const number = this.#keys.add(key);
    if (number === this.#newest.length) this.#newest = grown(this.#newest, new Int32Array(number * 2));
    this.#lsns[index] = exact(lsn);
    this.#keyOf[index] = number;
    // Numbers begin at 0, so that what was never set is no entry.
    this.#earlier[index] = (this.#newest[number] ?? 0) - 1;
    this.#newest[number] = index + 1;
    if (value.kind === 'record' && value.record.kind === 'postgres')
      this.#addRecord(index, value.record.willInit, value.record.record);
    else this.#addOther(index, value);
    this.#count += 1;
  }

  /** LSN of the newest change of a key; undefined where there is none. */
  newestLsn(key: Uint8Array): Lsn | undefined {
    const index = this.#newestOf(key);
    return index === NONE ? undefined : this.#lsnAt(index);
  }

  /**
   * Adds a key's changes to `changes`, the newest first, down to the first that needs no older state. True where that one was
   * found.
   */
  collect(key: Uint8Array, { lsn, floor }: ChangeRange, changes: MemoryChange[]): boolean {
    const [high, low] = [Number(lsn), Number(floor)];
    for (let i = this.#newestOf(key); i !== NONE; i = this.#earlier[i] ?? NONE) {
      const at = this.#lsns[i] ?? 0;
      if (at > high) continue;
      if (at <= low) return false;
      const value = this.#valueAt(i);
      changes.push({ lsn: this.#lsnAt(i), value });
      if (willInit(value)) return true;
    }
    return false;
  }

  /** Drops the changes behind `lsn`: those of a record that was not finished. */
  truncate(lsn: Lsn): void {
    const end = Number(lsn);
    for (let i = this.#count - 1; i >= 0 && (this.#lsns[i] ?? 0) > end; i -= 1) {
      this.#newest[this.#keyOf[i] ?? 0] = (this.#earlier[i] ?? NONE) + 1;
      this.#count = i;
    }
    this.#lastRecord = undefined;
  }

  /** The keys that have changes, in order, as numbers for `keyAt` and `visit`. */
  sortedKeys(): Int32Array {
    return this.#keys.sorted().filter((number) => this.#newest[number] !== 0);
  }

  keyAt(number: number): Uint8Array {
    return this.#keys.keyAt(number);
  }

  /** The changes of a key, oldest first. Gives their count. */
  visit(number: number, visitor: ChangeVisitor): number {
    const entries: number[] = [];
    for (let i = (this.#newest[number] ?? 0) - 1; i !== NONE; i = this.#earlier[i] ?? NONE) entries.push(i);
    for (let at = entries.length - 1; at >= 0; at -= 1) this.#visitEntry(entries[at] ?? 0, visitor);
    return entries.length;
  }

  #visitEntry(i: number, visitor: ChangeVisitor): void {
    const lsn = this.#lsns[i] ?? 0;
    const kind = this.#kinds[i];
    if (kind === OTHER) {
      visitor.other(lsn, this.#valueAt(i));
      return;
    }
    const page = this.#arena.pageAt(this.#pages[i] ?? 0);
    visitor.record(lsn, kind === INITIAL_RECORD, page, this.#offsets[i] ?? 0, this.#lengths[i] ?? 0);
  }

  #addRecord(index: number, isInitial: boolean, record: Uint8Array): void {
    if (record !== this.#lastRecord) this.#arena.add(record);
    this.#lastRecord = record;
    this.#kinds[index] = isInitial ? INITIAL_RECORD : RECORD;
    this.#pages[index] = this.#arena.page;
    this.#offsets[index] = this.#arena.offset;
    this.#lengths[index] = record.length;
  }

  #addOther(index: number, value: Value): void {
    this.#kinds[index] = OTHER;
    this.#offsets[index] = this.#others.push(value) - 1;
    this.#otherBytes += OBJECT_BYTES + (value.kind === 'image' ? value.image.length : 0);
  }

  #valueAt(i: number): Value {
    const kind = this.#kinds[i];
    const offset = this.#offsets[i] ?? 0;
    if (kind === OTHER) return this.#others[offset] as Value;
    const page = this.#arena.pageAt(this.#pages[i] ?? 0);
    const record = page.subarray(offset, offset + (this.#lengths[i] ?? 0));
    return { kind: 'record', record: { kind: 'postgres', willInit: kind === INITIAL_RECORD, record } };
  }

  #newestOf(key: Uint8Array): number {
    const number = this.#keys.find(key);
    return number < 0 ? NONE : (this.#newest[number] ?? 0) - 1;
  }

  #lsnAt(index: number): Lsn {
    return toLsn(BigInt(this.#lsns[index] ?? 0));
  }

  #growEntries(): void {
    const capacity = this.#lsns.length * 2;
    this.#lsns = grown(this.#lsns, new Float64Array(capacity));
    this.#keyOf = grown(this.#keyOf, new Int32Array(capacity));
    this.#earlier = grown(this.#earlier, new Int32Array(capacity));
    this.#kinds = grown(this.#kinds, new Uint8Array(capacity));
    this.#pages = grown(this.#pages, new Int32Array(capacity));
    this.#offsets = grown(this.#offsets, new Int32Array(capacity));
    this.#lengths = grown(this.#lengths, new Int32Array(capacity));
  }
}

function grown<Column extends Int32Array | Float64Array | Uint8Array>(before: Column, after: Column): Column {
  after.set(before);
  return after;
}

/** LSNs are kept as numbers: exact below 2^53, which is 9 PB of WAL. */
function exact(lsn: Lsn): number {
  const value = Number(lsn);
  if (!Number.isSafeInteger(value)) throw new RangeError(`LSN ${lsn} is too great`);
  return value;
}
