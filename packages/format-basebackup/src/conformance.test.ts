import { describeFormat } from '@neon-snapshot/format-conformance';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { plugin } from './plugin.ts';

describeFormat({
  name: 'the base backup format',
  plugin,
  open: async () => ({ storage: createMemoryStorage(), cleanup: async () => undefined }),
});
