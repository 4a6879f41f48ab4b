import { describeFormat } from '@neon-snapshot/format-conformance';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { plugin } from './plugin.ts';

describeFormat({
  name: 'the Neon format',
  plugin,
  open: async () => ({ storage: createMemoryStorage(), cleanup: async () => undefined }),
  walSegmentSizeBytes: 16 * 1024 * 1024,
  // An export's shutdown checkpoint lies where the timeline ends, and its TimeLineID is a new one.
  isMadeAnew: (path) => path.startsWith('pg_wal/'),
  // Layers without an index are an import that can be resumed.
  isLeftover: (key) =>
    /^tenants\/[^/]+\/timelines\/[^/]+\/[0-9A-F]{36}-/.test(key) || /^neon-snapshot\//.test(key),
});
