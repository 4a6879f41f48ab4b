import type { WriterLease } from './writer-lease.ts';

/**
 * The lease of a storage that can't keep two writers apart, for a caller who vouches that there is no other: nothing is
 * stored, it is never lost, and a second one is granted just as well.
 */
export function createUnguardedLease({ generation }: { readonly generation: number }): WriterLease {
  const { signal } = new AbortController();
  const nothing = () => Promise.resolve();
  return {
    generation,
    signal,
    isExpired: false,
    assertHeld: nothing,
    verify: nothing,
    release: nothing,
    [Symbol.asyncDispose]: nothing,
  };
}
