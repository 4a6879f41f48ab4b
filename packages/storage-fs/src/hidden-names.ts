import { randomBytes } from 'node:crypto';

/** Files of this name are the storage's own: listings hide them and keys may not use them. */
const HIDDEN_PREFIX = '.neon-tmp-';
const HIDDEN_SEGMENT = '/.neon-tmp-';
const RANDOM_BYTES = 9;

export function isHiddenName(name: string): boolean {
  return name.startsWith(HIDDEN_PREFIX);
}

export function hasHiddenSegment(key: string): boolean {
  return key.startsWith(HIDDEN_PREFIX) || key.includes(HIDDEN_SEGMENT);
}

/** A new name for a body that is being written: 31 bytes at most, whatever the name that it will get. */
export function temporaryName(): string {
  return `${HIDDEN_PREFIX}${process.pid.toString(36)}-${randomBytes(RANDOM_BYTES).toString('hex')}`;
}

/** Name of the lock under which one object is replaced on a condition. */
export function lockName(hash: string): string {
  return `${HIDDEN_PREFIX}lock-${hash}`;
}
