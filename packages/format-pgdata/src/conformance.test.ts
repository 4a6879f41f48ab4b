import { describeFormat } from '@neon-snapshot/format-conformance';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { plugin } from './plugin.ts';

describeFormat({
  name: 'the data directory format',
  plugin,
  open: async () => ({ storage: createMemoryStorage(), cleanup: async () => undefined }),
});
