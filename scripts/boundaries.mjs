// The house: what each package may import of ours (ARCHITECTURE.md). Read by .dependency-cruiser.mjs, which checks the
// code, and by check-packages.ts, which checks the manifests.

/** A package that is not here is a private one for tests and may import everything. */
export const MAY_IMPORT = {
  'storage-core': [],
  postgres: [],
  archive: [],
  'storage-conformance': ['storage-core'],
  'storage-fs': ['storage-core'],
  'storage-s3': ['storage-core'],
  'postgres-process': ['postgres'],
  'format-core': ['storage-core', 'postgres'],
  'format-conformance': ['format-core', 'storage-core', 'storage-conformance', 'postgres'],
  'format-pgdata': ['format-core', 'storage-core', 'postgres', 'archive'],
  'format-basebackup': ['format-core', 'storage-core', 'postgres', 'archive', 'pq-proto'],
  'neon-layer': ['storage-core', 'postgres'],
  'format-neon': [
    'format-core',
    'storage-core',
    'postgres',
    'archive',
    'neon-layer',
    'neon-timeline',
    'wal-redo',
  ],
  'wal-redo': ['postgres'],
  'wal-redo-stock': ['postgres', 'postgres-process'],
  'wal-ingest': ['postgres', 'neon-layer'],
  'neon-timeline': ['storage-core', 'postgres', 'neon-layer', 'wal-redo', 'wal-ingest'],
  repository: ['storage-core'],
  'pageserver-runner': ['repository', 'postgres-process', 'postgres', 'storage-core', 'pq-proto', 'archive'],
  pageserver: [
    'storage-core',
    'repository',
    'postgres',
    'archive',
    'neon-layer',
    'neon-timeline',
    'wal-redo',
    'wal-ingest',
    'pq-proto',
  ],
};
