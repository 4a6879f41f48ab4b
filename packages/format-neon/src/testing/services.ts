import { setTimeout as sleep } from 'node:timers/promises';
import { createFormatServices, type FormatServices } from '@neon-snapshot/format-core';
import { acquireLease, type LeaseClock } from '@neon-snapshot/repository';
import { StorageError } from '@neon-snapshot/storage-core';

export interface TestServices {
  readonly services: FormatServices;
  readonly warnings: string[];
}

/** Services of a run without further locations, on a machine whose clock is ahead; warnings are kept. */
export function testServices({
  clockOffsetMs = 0,
  openStockRedo,
}: Pick<FormatServices, 'openStockRedo'> & { readonly clockOffsetMs?: number } = {}): TestServices {
  const warnings: string[] = [];
  const services = createFormatServices({
    openStorage: async (url) => {
      throw new StorageError({ code: 'STORAGE_NOT_FOUND', operation: 'open', message: `there is no ${url}` });
    },
    acquireLease: (request) =>
      acquireLease({ ...request, command: 'neon init', clock: clockAhead(clockOffsetMs) }),
    ...(openStockRedo === undefined ? {} : { openStockRedo }),
    warn: (message) => warnings.push(message),
  });
  return { services, warnings };
}

function clockAhead(offsetMs: number): LeaseClock {
  return {
    now: () => new Date(Date.now() + offsetMs),
    sleep: (durationMs, signal) =>
      sleep(durationMs, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }).catch(
        () => undefined,
      ),
  };
}
