import type { OptionTable } from '../arguments.ts';
import { STORAGE_DEST, TIMELINE_OPTIONS } from '../options.ts';

/** How a page server runs; `neon start` hands them on to its process. */
export const PAGE_SERVER_OPTIONS: OptionTable = {
  durability: {
    type: 'string',
    choices: ['local', 'remote'],
    describe: 'remote: a commit waits until storage_dest has it [local]',
  },
  push_interval: { type: 'duration', describe: 'how often WAL goes to storage_dest, e.g. 500ms [1s]' },
  layer_interval: { type: 'duration', describe: 'how often layers are pushed, e.g. 1m [30s]' },
  pitr_interval: { type: 'duration', describe: 'how far back every LSN stays readable, e.g. 12h [7d]' },
  gc_grace: { type: 'duration', describe: 'how long objects stay that nothing refers to any more [1h]' },
  cache_size: { type: 'size', describe: 'layers kept in .neon/cache at most [10G]' },
  memory_size: { type: 'size', describe: 'WAL and pages in memory at which no more WAL is taken [256M]' },
  take_over: {
    type: 'boolean',
    describe: 'end the right to write of another page server, which then stops',
  },
  unsafe_no_lease: {
    type: 'boolean',
    describe: 'run on a store without conditional put, where nothing keeps a second page server away',
  },
  listen: {
    type: 'string',
    describe: 'address for others, who need a token: page service and HTTP API [127.0.0.1 alone]',
  },
  auth_public_key: {
    type: 'string',
    describe: 'with --listen: PEM file with the public Ed25519 key of those tokens, or a directory of them',
  },
  pg_port: {
    type: 'number',
    min: 1,
    max: 65_535,
    describe: 'port of the page service on 127.0.0.1 [a free one]',
  },
  http_port: {
    type: 'number',
    min: 1,
    max: 65_535,
    describe: 'port of the HTTP API on 127.0.0.1 [a free one]',
  },
  engine: {
    type: 'string',
    choices: ['embedded', 'neon'],
    describe: "page server: our own, or Neon's program [embedded]",
  },
  pageserver_bin: { type: 'string', describe: "with --engine=neon: Neon's page server program" },
};

export const START_OPTIONS: OptionTable = {
  ...STORAGE_DEST,
  ...TIMELINE_OPTIONS,
  follow: {
    type: 'string',
    describe: 'postgresql://… of a primary to follow: a base backup of it, then its WAL, by a slot of ours',
  },
  unfollow: { type: 'boolean', describe: 'end that: drop the slot, and start the endpoint main' },
  foreground: { type: 'boolean', describe: 'stay, print events, and stop everything on Ctrl-C' },
  ...PAGE_SERVER_OPTIONS,
  port: {
    type: 'number',
    min: 1,
    max: 65_535,
    describe: 'port of the endpoint main on 127.0.0.1 [a free one]',
  },
  pg_version: {
    type: 'string',
    choices: ['14', '15', '16', '17'],
    describe: 'major of the cluster that is made where --storage_dest is empty [17]',
  },
  superuser: { type: 'string', describe: 'its superuser [postgres]' },
  locale: { type: 'string', describe: 'its locale [C.UTF-8]' },
  data_checksums: { type: 'boolean', describe: 'with page checksums' },
};

export const STOP_OPTIONS: OptionTable = {
  mode: {
    type: 'string',
    choices: ['fast', 'immediate'],
    describe: 'immediate: do not wait for a last push [fast]',
  },
  timeout: { type: 'duration', describe: 'how long a process may take before it is killed [60s]' },
};
