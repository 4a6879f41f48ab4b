import { CHECKPOINT_KEY } from '@neon-snapshot/neon-layer';
import { type CheckPoint, decodeCheckPoint, encodeCheckPoint, type Lsn } from '@neon-snapshot/postgres';
import type { Modification } from './modification.ts';

/** `XID_CHECKPOINT_INTERVAL` of Neon: the stored next xid runs ahead by up to this, so that it is seldom stored. */
const XID_STEP = 1024;
const FIRST_NORMAL_XID = 3;

/** True when `a` comes before `b` in 32-bit arithmetic that wraps. */
export function precedes(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/**
 * The CheckPoint that Neon keeps up to date from WAL (specification 8.4): what a checkpoint taken at this record would say,
 * with `redo` = 0, or the end of the record right behind a shutdown checkpoint.
 */
export class CheckpointTracker {
  readonly #major: number;
  #checkPoint: CheckPoint;
  #nextXid: number;
  #isChanged = false;

  constructor(value: Uint8Array, major: number) {
    this.#major = major;
    this.#checkPoint = decodeCheckPoint(value, major);
    this.#nextXid = Number(this.#checkPoint.nextXid & 0xffff_ffffn);
  }

  get current(): CheckPoint {
    return this.#checkPoint;
  }

  /** Low half of the next full transaction id. */
  get nextXid(): number {
    return this.#nextXid;
  }

  /** Sets fields, and stores the whole struct with this record even where nothing is new. */
  update(fields: Partial<CheckPoint>): void {
    this.#checkPoint = { ...this.#checkPoint, ...fields };
    this.#isChanged = true;
  }

  /** A transaction id was seen: the next one lies behind it. */
  seeXid(xid: number): void {
    const next = ((Math.max((xid + 1) >>> 0, FIRST_NORMAL_XID) + XID_STEP - 1) & ~(XID_STEP - 1)) >>> 0;
    if (!precedes(this.#nextXid, next)) return;
    const epoch = (this.#checkPoint.nextXid >> 32n) + (next < this.#nextXid ? 1n : 0n);
    this.#nextXid = next;
    this.update({ nextXid: (epoch << 32n) | BigInt(next) });
  }

  seeNextOid(nextOid: number): void {
    if (nextOid !== this.#checkPoint.nextOid) this.update({ nextOid });
  }

  /** A multixact `mid` was made; its members end before `nextOffset`. As in Postgres, the next id is allowed to be 0. */
  seeMultiXact(mid: number, nextOffset: number): void {
    const nextMulti = (mid + 1) >>> 0;
    if (precedes(this.#checkPoint.nextMulti, nextMulti)) this.update({ nextMulti });
    if (precedes(this.#checkPoint.nextMultiOffset, nextOffset)) this.update({ nextMultiOffset: nextOffset });
  }

  /** A checkpoint record was seen; `redo` and `oldestActiveXid` are worked out by the caller. */
  seeCheckpoint(seen: CheckPoint, own: { readonly redo: Lsn; readonly oldestActiveXid: number }): void {
    const isNewer = precedes(this.#checkPoint.oldestXid, seen.oldestXid);
    this.update({ ...own, ...(isNewer ? { oldestXid: seen.oldestXid } : {}) });
  }

  /** The full id of a transaction that is at most one epoch old, or undefined for one before the first epoch. */
  fullXid(xid: number): bigint | undefined {
    const epoch = (this.#checkPoint.nextXid >> 32n) - (xid > this.#nextXid ? 1n : 0n);
    return epoch < 0n ? undefined : (epoch << 32n) | BigInt(xid);
  }

  /** Writes the struct where it changed since the last time. */
  store(modification: Modification): void {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    modification.putImage(CHECKPOINT_KEY, encodeCheckPoint(this.#checkPoint, this.#major));
  }
}
