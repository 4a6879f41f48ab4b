import type { StoragePlugin } from '@neon-snapshot/storage-core';
import { parseSettings } from './parse-settings.ts';
import { settings } from './settings.ts';

/** The backend of `s3://` URLs. The SDK is loaded when the first storage is opened. */
export const plugin: StoragePlugin = {
  kind: 'storage',
  name: 's3',
  schemes: ['s3'],
  settings,
  hasOwnRetries: true,
  async open(location, context) {
    const options = parseSettings(location, context.settings, context.access);
    const { open } = await import('./s3-storage.ts');
    return open(options);
  },
};
