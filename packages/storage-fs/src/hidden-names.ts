import { randomBytes } from 'node:crypto';

/** Files of this name are the storage's own: listings hide them and keys may not use them. */
const HIDDEN_PREFIX = '.neon-tmp-';
const HIDDEN_SEGMENT = '/.neon-tmp-';
/** One draw for the whole process: a draw for each file measured 6 µs. Exclusive creation catches the impossible rest. */
const PROCESS_PART = `${process.pid.toString(36)}-${randomBytes(8).toString('hex')}`;
let counter = 0;

export function isHiddenName(name: string): boolean {
  return name.startsWith(HIDDEN_PREFIX);
}

export function hasHiddenSegment(key: string): boolean {
  return key.startsWith(HIDDEN_PREFIX) || key.includes(HIDDEN_SEGMENT);
}

/** A new name for a body that is being written, short whatever name it will get. */
export function temporaryName(): string {
  counter += 1;
  return `${HIDDEN_PREFIX}${PROCESS_PART}-${counter.toString(36)}`;
}

/** Name of the lock under which one object is replaced on a condition. */
export function lockName(hash: string): string {
  return `${HIDDEN_PREFIX}lock-${hash}`;
}
