import type { OptionDefinition, OptionTable } from './arguments.ts';
import type { CommandDefinition } from './command.ts';
import {
  BACKUP_PLACE_OPTIONS,
  BACKUP_SOURCE_OPTIONS,
  CONCURRENCY,
  FORMAT_OPTION,
  RECOVER,
  SNAPSHOT_OPTIONS,
  STORAGE_DEST,
  TIMELINE_OPTIONS,
  TRANSFER_OPTIONS,
} from './options.ts';
import { BRANCH_COMMANDS, SERVER_COMMANDS } from './server/server-commands.ts';

const INIT: OptionTable = {
  ...STORAGE_DEST,
  ...SNAPSHOT_OPTIONS,
  pg_version: { type: 'string', choices: ['14', '15', '16', '17'], describe: 'major of a new cluster [17]' },
  superuser: { type: 'string', describe: 'superuser of a new cluster [postgres]' },
  locale: { type: 'string', describe: 'locale of a new cluster [C.UTF-8]' },
  data_checksums: { type: 'boolean', describe: 'page checksums in a new cluster' },
  tenant_id: { type: 'id', describe: 'id of the new tenant, 32 hex digits [random]' },
  timeline: {
    type: 'id',
    alias: 'timeline_id',
    describe: 'id of its first timeline, 32 hex digits [random]',
  },
  recover: RECOVER,
  ignore_page_errors: {
    type: 'boolean',
    describe: 'import pages with a wrong checksum too, with a warning each',
  },
  allow_loss: {
    type: 'boolean',
    describe: 'import although slots, commit timestamps or foreign files get lost',
  },
  take_over: {
    type: 'boolean',
    describe: 'end the right to write of another neon that still seems to write this tenant',
  },
  unsafe_no_lease: {
    type: 'boolean',
    describe: 'use a store without conditional put, where nothing keeps a second writer away',
  },
  ...BACKUP_SOURCE_OPTIONS,
  ...TRANSFER_OPTIONS,
};

const TIME: OptionDefinition = {
  type: 'string',
  describe: 'as of a time with its zone, e.g. 2026-11-22T09:00:55Z, in place of --lsn',
};

const SNAPSHOT_NAME: OptionDefinition = {
  type: 'string',
  describe: 'the timeline and LSN of a named snapshot, in place of --timeline and --lsn',
};

const EXPORT: OptionTable = {
  ...SNAPSHOT_OPTIONS,
  ...STORAGE_DEST,
  ...TIMELINE_OPTIONS,
  lsn: { type: 'string', describe: 'LSN to export at, e.g. 0/1E1D368 [the end of the timeline]' },
  time: TIME,
  snapshot: SNAPSHOT_NAME,
  timeline_id_mode: {
    type: 'string',
    choices: ['new', 'original'],
    describe: "Postgres' TimeLineID of the export [new]",
  },
  tablespace_mapping: { type: 'list', describe: 'OLD=NEW directory of a tablespace' },
  ignore_page_errors: {
    type: 'boolean',
    describe: 'export pages that fail their checks too, with a warning each',
  },
  allow_loss: { type: 'boolean', describe: 'export although the format cannot hold everything' },
  ...TRANSFER_OPTIONS,
};

const SNAPSHOT_COPY: OptionTable = {
  from: { type: 'string', describe: 'URL or path of the snapshot, or postgresql://… of a running server' },
  from_format: { type: 'string', describe: 'how it is packed [told from what lies there]' },
  to: { type: 'string', describe: 'URL or path where it is written' },
  to_format: { type: 'string', describe: 'how it is packed there: pgdata, basebackup, neon, or a plugin' },
  ...TIMELINE_OPTIONS,
  lsn: { type: 'string', describe: 'LSN to read a timeline at [its end]' },
  time: { type: 'string', describe: 'time to read a timeline at, e.g. 2026-11-22T09:00:55Z' },
  snapshot: SNAPSHOT_NAME,
  recover: RECOVER,
  ...BACKUP_SOURCE_OPTIONS,
  tablespace_mapping: { type: 'list', describe: 'OLD=NEW directory of a tablespace' },
  ignore_page_errors: {
    type: 'boolean',
    describe: 'copy pages with a wrong checksum too, with a warning each',
  },
  allow_loss: { type: 'boolean', describe: 'copy although the target format cannot hold everything' },
  ...TRANSFER_OPTIONS,
  format_option: { type: 'list', describe: 'NAME=VALUE for the target format, e.g. compression=zstd:1' },
};

const VERIFY: OptionTable = {
  level: {
    type: 'string',
    choices: ['meta', 'hash', 'pages', 'restore'],
    describe: 'how deep to look [meta]',
  },
  redo: {
    type: 'string',
    choices: ['own', 'stock'],
    describe: 'stock: at level pages Postgres makes every page from WAL too, and both are compared [own]',
  },
  ...SNAPSHOT_OPTIONS,
  ...STORAGE_DEST,
  ...TIMELINE_OPTIONS,
  lsn: { type: 'string', describe: 'LSN at which pages are looked at [the end of the timeline]' },
  recover: RECOVER,
  ...BACKUP_PLACE_OPTIONS,
  superuser: { type: 'string', describe: 'superuser of the cluster, for level restore [postgres]' },
  concurrency: CONCURRENCY,
  format_option: FORMAT_OPTION,
};

const WAL_SHOW: OptionTable = {
  start: { type: 'string', describe: 'LSN to begin at: records that start here or later' },
  end: { type: 'string', describe: 'LSN to end at: only records that start before it' },
  limit: { type: 'number', min: 1, describe: 'records to show or count at most [all]' },
  rmgr: { type: 'list', describe: 'only records of this resource manager' },
  stats: { type: 'boolean', describe: 'count records by type instead of showing them' },
  pg_version: {
    type: 'string',
    choices: ['14', '15', '16', '17'],
    describe: 'major of delta layers that lie without their index',
  },
};

const CONFIRM: OptionTable = {
  yes: { type: 'boolean', describe: 'delete; without it only what would go is shown' },
};

/** Every command of `neon`. */
export const COMMANDS: readonly CommandDefinition[] = [
  {
    path: 'init',
    summary: 'make a repository: a new cluster, or an existing snapshot, into storage_dest',
    options: INIT,
    examples: [
      'neon init --storage_dest=s3://bucket/app',
      'neon init --snapshot_path=/var/lib/postgresql/17/main --snapshot_format=pgdata --storage_dest=s3://bucket/app',
    ],
    load: () => import('./commands/init.ts'),
  },
  ...SERVER_COMMANDS,
  {
    path: 'export',
    summary: 'write a snapshot of storage_dest to snapshot_path',
    options: EXPORT,
    examples: ['neon export --snapshot_path=/srv/restore --snapshot_format=pgdata'],
    load: () => import('./commands/export.ts'),
  },
  {
    path: 'snapshot ls',
    summary: 'list what storage_dest, or a URL, holds',
    options: { ...STORAGE_DEST },
    load: () => import('./commands/snapshot-ls.ts'),
  },
  {
    path: 'snapshot show',
    summary: 'show one snapshot: of storage_dest, or at snapshot_path',
    options: { ...SNAPSHOT_OPTIONS, ...STORAGE_DEST, ...TIMELINE_OPTIONS, ...BACKUP_PLACE_OPTIONS },
    load: () => import('./commands/snapshot-show.ts'),
  },
  {
    path: 'snapshot verify',
    summary: 'look for what is wrong with a snapshot, or with all of storage_dest',
    options: VERIFY,
    examples: [
      'neon snapshot verify --level=pages',
      'neon snapshot verify --snapshot_path=/srv/restored --level=restore',
      'neon snapshot verify --snapshot_path=postgresql://backup@db.example/ --level=pages',
    ],
    load: () => import('./commands/snapshot-verify.ts'),
  },
  {
    path: 'snapshot copy',
    summary: 'one snapshot from any store and format to any other, or from a running server',
    options: SNAPSHOT_COPY,
    examples: [
      'neon snapshot copy --from=/var/lib/postgresql/17/main --to=s3://backups/monday --to_format=basebackup',
      'neon snapshot copy --from=postgresql://backup@db.example/ --to=/srv/standby --to_format=pgdata',
    ],
    load: () => import('./commands/snapshot-copy.ts'),
  },
  {
    path: 'snapshot diff',
    summary: 'which files and blocks differ between two snapshots',
    options: { concurrency: CONCURRENCY },
    positionals: [
      { name: 'a', describe: 'snapshot: PLACE[#[TENANT/]TIMELINE][@LSN]; no PLACE: storage_dest' },
      { name: 'b', describe: 'the other one' },
    ],
    examples: [
      'neon snapshot diff @0/1E1D368 @0/2000000',
      'neon snapshot diff s3://bucket/app /srv/restored',
    ],
    load: () => import('./commands/snapshot-diff.ts'),
  },
  {
    path: 'inspect',
    summary:
      'annotated dump of a layer, index, pg_control, WAL segment, relation page or backup manifest; with --page: the records that made a page',
    options: {
      block: { type: 'number', max: 131_071, describe: 'block of a relation file [0]' },
      page: {
        type: 'string',
        describe: 'relation of storage_dest whose block BLK is explained: base/5/16384 or 1663/5/16384',
      },
      lsn: { type: 'string', describe: 'with --page: as of this LSN [the end of the timeline]' },
      time: TIME,
      ...STORAGE_DEST,
      ...TIMELINE_OPTIONS,
      limit: {
        type: 'number',
        min: 1,
        max: 1_000_000,
        describe: 'records, entries or nodes to print at most [20]',
      },
    },
    positionals: [{ name: 'target', describe: 'file or URL; with --page the block, BLK' }],
    examples: ['neon inspect --page base/5/16384 0 --lsn=0/1E1D368'],
    load: () => import('./commands/inspect.ts'),
  },
  {
    path: 'wal show',
    summary: 'records of WAL segments or of delta layers, as pg_waldump shows them',
    options: WAL_SHOW,
    positionals: [
      { name: 'target', describe: 'WAL segment, delta layer, or directory of either', repeats: true },
    ],
    examples: ['neon wal show pg_wal/000000010000000000000001.zst --rmgr=Heap --limit=100'],
    load: () => import('./commands/wal-show.ts'),
  },
  {
    path: 'storage ls',
    summary: 'list objects below a URL',
    options: { recursive: { type: 'boolean', alias: 'r', describe: 'all objects, not one level' } },
    positionals: [{ name: 'url', describe: 'storage URL' }],
    load: () => import('./commands/storage-ls.ts'),
  },
  {
    path: 'storage cp',
    summary: 'copy an object, or all below a URL, between any two stores',
    options: {
      recursive: { type: 'boolean', alias: 'r', describe: 'all objects below FROM' },
      concurrency: CONCURRENCY,
      max_rate: { type: 'size', describe: 'bytes per second to write at most, e.g. 100M' },
    },
    positionals: [
      { name: 'from', describe: 'storage URL; credentials as of a snapshot_path' },
      { name: 'to', describe: 'storage URL; credentials as of a storage_dest' },
    ],
    examples: ['neon storage cp --recursive s3://bucket/app /srv/copy-of-app'],
    load: () => import('./commands/storage-cp.ts'),
  },
  {
    path: 'storage rm',
    summary: 'delete an object, or all below a URL',
    options: {
      recursive: { type: 'boolean', alias: 'r', describe: 'all objects below the URL' },
      ...CONFIRM,
    },
    positionals: [{ name: 'url', describe: 'storage URL' }],
    load: () => import('./commands/storage-rm.ts'),
  },
  {
    path: 'storage check',
    summary: 'try a storage on a scratch prefix: what works, what does not, what that costs',
    options: {},
    positionals: [{ name: 'url', describe: 'storage URL' }],
    load: () => import('./commands/storage-check.ts'),
  },
  {
    path: 'plugins list',
    summary: 'storages and formats that can be used here',
    options: {},
    load: () => import('./commands/plugins-list.ts'),
  },
  {
    path: 'tenant ls',
    summary: 'tenants of storage_dest, or of a URL',
    options: { ...STORAGE_DEST },
    load: () => import('./commands/tenant-ls.ts'),
  },
  {
    path: 'tenant delete',
    summary: 'delete a tenant with all its timelines',
    options: {
      ...STORAGE_DEST,
      tenant_id: { type: 'id', describe: 'the tenant (32 hex digits)' },
      ...CONFIRM,
    },
    load: () => import('./commands/tenant-delete.ts'),
  },
  {
    path: 'timeline ls',
    summary: 'timelines of a tenant',
    options: {
      ...STORAGE_DEST,
      tenant_id: { type: 'id', describe: 'only this tenant (32 hex digits)' },
    },
    load: () => import('./commands/timeline-ls.ts'),
  },
  {
    path: 'timeline delete',
    summary: 'delete one timeline that no other one descends from',
    options: { ...STORAGE_DEST, ...TIMELINE_OPTIONS, ...CONFIRM },
    load: () => import('./commands/timeline-delete.ts'),
  },
  ...BRANCH_COMMANDS,
];

/** What the first word of a two-word command is about. */
export const COMMAND_GROUPS: Readonly<Record<string, string>> = {
  endpoint: 'Postgres servers on a branch: create, start, stop, list, psql',
  branch: 'branches: create, list, delete',
  snapshot: 'snapshots: create, ls, show, copy, verify, diff, rm',
  wal: 'write-ahead log: show',
  storage: 'object stores: ls, cp, rm, check, config, flush',
  plugins: 'plugins: list',
  tenant: 'tenants of a bucket: ls, delete',
  timeline: 'timelines of a tenant: ls, delete',
};
