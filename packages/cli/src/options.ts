import type { OptionDefinition, OptionTable } from './arguments.ts';

/** Options of every command. */
export const GLOBAL_OPTIONS: OptionTable = {
  repo_dir: {
    type: 'string',
    alias: 'D',
    describe: 'directory that holds .neon/ (or NEON_REPO_DIR) [the current directory]',
  },
  json: { type: 'boolean', describe: 'print the result as one JSON object' },
  progress: {
    type: 'string',
    choices: ['auto', 'bar', 'json', 'none'],
    default: 'auto',
    describe: 'how to show progress, on stderr',
  },
  quiet: { type: 'boolean', describe: 'print nothing but errors and warnings' },
  plugin: {
    type: 'list',
    describe: 'package of a storage or format to load too (or NEON_PLUGINS, or plugins in the configuration)',
  },
};

export const CONCURRENCY: OptionDefinition = {
  type: 'number',
  min: 1,
  max: 64,
  describe: 'files, objects and workers at work side by side, 1 to 64 [number of CPUs, at most 8]',
};

export const FORMAT_OPTION: OptionDefinition = {
  type: 'list',
  describe: 'NAME=VALUE for the format of --snapshot_path',
};

export const RECOVER: OptionDefinition = {
  type: 'boolean',
  describe: 'make a data directory that was not shut down cleanly consistent, in a scratch copy',
};

/** Options of the commands that move a snapshot. */
export const TRANSFER_OPTIONS: OptionTable = {
  concurrency: CONCURRENCY,
  max_rate: { type: 'size', describe: 'bytes per second to write at most, e.g. 100M' },
  dry_run: { type: 'boolean', describe: 'check everything, write nothing' },
  format_option: FORMAT_OPTION,
};

export const SNAPSHOT_OPTIONS: OptionTable = {
  snapshot_path: { type: 'string', describe: 'URL or path of the snapshot' },
  snapshot_format: {
    type: 'string',
    describe: 'how it is packed: pgdata, basebackup, neon, or the name of a plugin',
  },
};

/** Of a base backup that is read: one of a running server, or an incremental one. */
export const BACKUP_PLACE_OPTIONS: OptionTable = {
  parents: {
    type: 'list',
    describe: 'of an incremental backup: those that it goes on from, the full one first',
  },
  checkpoint: {
    type: 'string',
    choices: ['fast', 'spread'],
    describe: 'how a running server gets to the start of its backup [fast]',
  },
};

/** The same as the source of a transfer. */
export const BACKUP_SOURCE_OPTIONS: OptionTable = {
  consistent: {
    type: 'boolean',
    describe: 'have Postgres apply the WAL of a base backup first, in a scratch copy',
  },
  ...BACKUP_PLACE_OPTIONS,
};

/** Which timeline of a bucket. */
export const TIMELINE_OPTIONS: OptionTable = {
  tenant_id: { type: 'id', describe: 'tenant, where the bucket holds several (32 hex digits)' },
  timeline: {
    type: 'id',
    alias: 'timeline_id',
    describe: 'timeline, where the tenant has several (32 hex digits)',
  },
};

export const STORAGE_DEST: OptionTable = {
  storage_dest: { type: 'string', describe: 'URL of the storage: file:///path, s3://bucket/prefix' },
};
