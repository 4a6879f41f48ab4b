import type { Lsn } from '@neon-snapshot/postgres';

/** Entries at most; past this all are forgotten. */
const ENTRIES_MAX = 100_000;

interface Entry<Value> {
  readonly value: Value;
  /** Known to hold from here on, up to the newest record. */
  readonly from: Lsn;
}

/**
 * Values of keys as they are at the end of a timeline, so that they need not be read for every page. A value counts for LSNs from the one at
 * which it was read, until a write of its key is told. Behind them, of each key the value at the older LSN that was read last: who reads at
 * one LSN, as a static compute does, asks for it with every page. What was at an LSN never changes.
 */
export class LatestValues<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #past = new Map<string, { readonly value: Value; readonly at: Lsn }>();
  readonly #isNewest: (id: string, lsn: Lsn) => boolean;

  /** `isNewest`: the key was surely not written behind the LSN. */
  constructor(isNewest: (id: string, lsn: Lsn) => boolean) {
    this.#isNewest = isNewest;
  }

  /** A key was written: what is read from now on may be newer. */
  forget(id: string): void {
    this.#entries.delete(id);
  }

  /** The value at an LSN: as it is known, or as it is read. */
  async get(id: string, lsn: Lsn, read: () => Promise<Value>): Promise<Value> {
    const known = this.#entries.get(id);
    if (known !== undefined && known.from <= lsn) return known.value;
    const past = this.#past.get(id);
    if (past?.at === lsn) return past.value;
    const value = await read();
    if (this.#isNewest(id, lsn)) this.#keep(id, { value, from: lsn });
    else this.#keepPast(id, { value, at: lsn });
    return value;
  }

  #keep(id: string, entry: Entry<Value>): void {
    if (this.#entries.size >= ENTRIES_MAX) this.#entries.clear();
    this.#entries.set(id, entry);
  }

  #keepPast(id: string, entry: { readonly value: Value; readonly at: Lsn }): void {
    if (this.#past.size >= ENTRIES_MAX) this.#past.clear();
    this.#past.set(id, entry);
  }
}
