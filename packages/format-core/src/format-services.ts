import { randomBytes } from 'node:crypto';
import type { FormatServices } from './format.ts';

/** The services of a real run: the clock and the random source of this machine, and what the caller can do. */
export function createFormatServices(
  options: Pick<FormatServices, 'openStorage' | 'recover' | 'acquireLease' | 'openStockRedo' | 'warn'>,
): FormatServices {
  return {
    openStorage: options.openStorage,
    ...(options.recover === undefined ? {} : { recover: options.recover }),
    ...(options.acquireLease === undefined ? {} : { acquireLease: options.acquireLease }),
    ...(options.openStockRedo === undefined ? {} : { openStockRedo: options.openStockRedo }),
    warn: options.warn,
    now: () => new Date(),
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  };
}
