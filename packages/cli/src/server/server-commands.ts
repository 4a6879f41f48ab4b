import type { OptionDefinition, PositionalDefinition } from '../arguments.ts';
import type { CommandDefinition } from '../command.ts';
import { STORAGE_DEST, TIMELINE_OPTIONS } from '../options.ts';
import { PAGE_SERVER_OPTIONS, START_OPTIONS, STOP_OPTIONS } from './server-options.ts';

const BRANCH: OptionDefinition = { type: 'string', describe: 'branch, by name or timeline id [main]' };
const PORT: OptionDefinition = {
  type: 'number',
  min: 1,
  max: 65_535,
  describe: 'port on 127.0.0.1 [a free one, which it keeps]',
};
const ENDPOINT: PositionalDefinition = { name: 'name', describe: 'name of the endpoint', optional: true };
const LSN: OptionDefinition = { type: 'string', describe: 'LSN, e.g. 0/1E1D368 [the end of the timeline]' };
const TIME: OptionDefinition = {
  type: 'string',
  describe: 'a time with its zone, e.g. 2026-11-22T09:00:55Z, in place of --lsn',
};
const YES: OptionDefinition = { type: 'boolean', describe: 'delete; without it only what would go is shown' };

/** Commands about what runs. */
export const SERVER_COMMANDS: readonly CommandDefinition[] = [
  {
    path: 'start',
    summary: 'start the page server on storage_dest, and the Postgres of endpoint main',
    options: START_OPTIONS,
    examples: ['neon start --storage_dest=s3://bucket/app --durability=remote'],
    load: () => import('../commands/start.ts'),
  },
  {
    path: 'stop',
    summary: 'stop every endpoint and the page server, with one last push',
    options: STOP_OPTIONS,
    load: () => import('../commands/stop.ts'),
  },
  {
    path: 'status',
    summary: 'what runs here, how to connect, and how far storage_dest is behind',
    options: {},
    load: () => import('../commands/status.ts'),
  },
  {
    path: 'logs',
    summary: 'what the page server, or an endpoint, has logged',
    options: {
      follow: { type: 'boolean', alias: 'f', describe: 'go on until Ctrl-C' },
      endpoint: { type: 'string', describe: 'log of this endpoint [of the page server]' },
      lines: { type: 'number', max: 100_000, describe: 'how many of the last lines [100]' },
    },
    load: () => import('../commands/logs.ts'),
  },
  {
    path: 'pageserver',
    summary: 'the process of a page server, which neon start starts',
    options: PAGE_SERVER_OPTIONS,
    hidden: true,
    load: () => import('../commands/pageserver.ts'),
  },
];

/** Commands about endpoints, branches and what a page server needs of a storage. */
export const BRANCH_COMMANDS: readonly CommandDefinition[] = [
  {
    path: 'endpoint create',
    summary: 'make an endpoint: a Postgres on a branch; started by endpoint start',
    options: { branch: BRANCH, port: PORT },
    positionals: [{ name: 'name', describe: 'name of the new endpoint' }],
    load: () => import('../commands/endpoint-create.ts'),
  },
  {
    path: 'endpoint start',
    summary: 'start the Postgres of an endpoint [main]',
    options: { port: PORT },
    positionals: [ENDPOINT],
    load: () => import('../commands/endpoint-start.ts'),
  },
  {
    path: 'endpoint stop',
    summary: 'stop the Postgres of an endpoint [main]',
    options: STOP_OPTIONS,
    positionals: [ENDPOINT],
    load: () => import('../commands/endpoint-stop.ts'),
  },
  {
    path: 'endpoint list',
    summary: 'endpoints of this repository',
    options: {},
    load: () => import('../commands/endpoint-list.ts'),
  },
  {
    path: 'endpoint psql',
    summary: 'run psql on an endpoint [main]; what stands behind -- is for psql',
    passesWordsTo: 'psql',
    options: {
      database: { type: 'string', alias: 'd', describe: 'database [postgres]' },
      command: { type: 'list', alias: 'c', describe: 'run this and end' },
      file: { type: 'list', describe: 'run this file and end' },
    },
    positionals: [ENDPOINT],
    examples: ["neon endpoint psql -c 'SELECT now()'", "neon endpoint psql main -- -At -c 'SELECT now()'"],
    load: () => import('../commands/endpoint-psql.ts'),
  },
  {
    path: 'branch create',
    summary: 'a new timeline from another one, at its end or earlier; copies no data',
    options: {
      from: { type: 'string', describe: 'parent, by name or timeline id [main]' },
      lsn: LSN,
      time: TIME,
    },
    positionals: [{ name: 'name', describe: 'name of the new branch' }],
    examples: ['neon branch create before --time=2026-11-22T09:00:55Z'],
    load: () => import('../commands/branch-create.ts'),
  },
  {
    path: 'branch list',
    summary: 'branches of the tenant',
    options: { ...STORAGE_DEST, tenant_id: TIMELINE_OPTIONS.tenant_id as OptionDefinition },
    load: () => import('../commands/branch-list.ts'),
  },
  {
    path: 'branch delete',
    summary: 'delete a branch that no other one comes from',
    options: { yes: YES },
    positionals: [{ name: 'name', describe: 'name of the branch' }],
    load: () => import('../commands/branch-delete.ts'),
  },
  {
    path: 'snapshot create',
    summary: 'name an LSN, which then stays readable for ever',
    options: { branch: BRANCH, lsn: LSN, time: TIME },
    positionals: [{ name: 'name', describe: 'name of the snapshot' }],
    load: () => import('../commands/snapshot-create.ts'),
  },
  {
    path: 'snapshot rm',
    summary: 'take the name of a snapshot away again',
    options: {},
    positionals: [{ name: 'name', describe: 'name of the snapshot' }],
    load: () => import('../commands/snapshot-rm.ts'),
  },
  {
    path: 'storage config',
    summary: "storage_dest as the remote_storage of Neon's page server or safekeeper",
    options: {
      for: {
        type: 'string',
        choices: ['pageserver', 'safekeeper'],
        describe: 'whose configuration [pageserver]',
      },
      ...STORAGE_DEST,
    },
    examples: ['neon storage config --for=safekeeper --storage_dest=s3://bucket/app'],
    load: () => import('../commands/storage-config.ts'),
  },
  {
    path: 'storage flush',
    summary: 'turn the WAL in storage_dest into layers, for programs that read nothing else',
    options: {},
    load: () => import('../commands/storage-flush.ts'),
  },
];
