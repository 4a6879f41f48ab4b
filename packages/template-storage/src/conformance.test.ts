import { randomUUID } from 'node:crypto';
import { describeStorage } from '@neon-snapshot/storage-conformance';
import { createSettingsScope, parseStorageUrl } from '@neon-snapshot/storage-core';
import { plugin } from './plugin.ts';

describeStorage({
  name: 'the storage template',
  open: async () => {
    const settings = createSettingsScope({ role: 'storage', env: {} });
    const location = parseStorageUrl(`template://${randomUUID()}/prefix`);
    const storage = await plugin.open(location, { settings, access: 'write' });
    return { storage, cleanup: async () => undefined };
  },
});
