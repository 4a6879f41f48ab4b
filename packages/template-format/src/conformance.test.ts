import { describeFormat } from '@neon-snapshot/format-conformance';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { plugin } from './plugin.ts';

describeFormat({
  name: 'the format template',
  plugin,
  open: async () => ({ storage: createMemoryStorage(), cleanup: async () => undefined }),
});
