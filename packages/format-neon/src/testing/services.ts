import { createFormatServices, type FormatServices } from '@neon-snapshot/format-core';
import { acquireLease } from '@neon-snapshot/repository';
import { StorageError } from '@neon-snapshot/storage-core';

export interface TestServices {
  readonly services: FormatServices;
  readonly warnings: string[];
}

/** Services of a run without further locations; warnings are kept. */
export function testServices(): TestServices {
  const warnings: string[] = [];
  const services = createFormatServices({
    openStorage: async (url) => {
      throw new StorageError({ code: 'STORAGE_NOT_FOUND', operation: 'open', message: `there is no ${url}` });
    },
    acquireLease: (request) => acquireLease({ ...request, command: 'neon init' }),
    warn: (message) => warnings.push(message),
  });
  return { services, warnings };
}
