import { plugin as basebackup } from '@neon-snapshot/format-basebackup';
import { describeFormatMatrix } from '@neon-snapshot/format-conformance';
import { plugin as neon } from '@neon-snapshot/format-neon';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import { createMemoryStorage } from '@neon-snapshot/storage-core';

const open = async () => ({ storage: createMemoryStorage(), cleanup: async () => undefined });

describeFormatMatrix([
  { name: 'pgdata', plugin: pgdata, open },
  { name: 'basebackup', plugin: basebackup, open },
  {
    name: 'neon',
    plugin: neon,
    open,
    walSegmentSizeBytes: 16 * 1024 * 1024,
    // An export's shutdown checkpoint lies where the timeline ends.
    isMadeAnew: (path) => path.startsWith('pg_wal/'),
  },
]);
