import { appendFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeTestCluster } from '@neon-snapshot/cluster-testkit';
import { lsn, parseLsn } from '@neon-snapshot/postgres';
import {
  type PostgresInstallation,
  type PostgresServer,
  startPostgres,
} from '@neon-snapshot/postgres-process';
import { giveToServer } from './directory.ts';
import { neon } from './neon-cli.ts';
import type { RunningNeon } from './running-neon.ts';

const PASSWORD = 's3cret:word';
/** What a follower of a {@link makePrimary} needs in its environment. */
export const FOLLOWER_ENV = { NEON_SNAPSHOT_PGPASSWORD: PASSWORD } as const;

/** It keeps the WAL since a backup, which stock recovery replays. */
const CONFIGURATION = 'max_prepared_transactions = 20\nwal_keep_size = 8GB\n';

export interface Primary extends AsyncDisposable {
  readonly installation: PostgresInstallation;
  readonly dataDirectory: string;
  readonly server: PostgresServer;
  /** Of a role that may replicate and nothing else. */
  readonly url: string;
}

export async function makePrimary(
  major: number,
  { configuration = CONFIGURATION }: { readonly configuration?: string } = {},
): Promise<Primary> {
  const cluster = await makeTestCluster({ major, configuration });
  const { installation, dataDirectory } = cluster;
  const server = await startPostgres({ installation, dataDirectory, listen: 'loopback' });
  await server.query(`CREATE ROLE backup REPLICATION LOGIN PASSWORD '${PASSWORD}'`);
  return {
    installation,
    dataDirectory,
    server,
    url: urlOf(server),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

/** A hot standby of a primary, made of a backup that the CLI takes. */
export async function startStandby(
  primary: Primary,
  dataDirectory: string,
): Promise<{ readonly server: PostgresServer; readonly url: string }> {
  const { installation, url } = primary;
  const words = [`--from=${url}`, `--to=${dataDirectory}`, '--to_format=pgdata'];
  await neon(['snapshot', 'copy', ...words], FOLLOWER_ENV);
  await writeFile(path.join(dataDirectory, 'standby.signal'), '');
  const { socketDirectory, port, superuser } = primary.server;
  const conninfo = `host=${socketDirectory} port=${port} user=${superuser}`;
  await appendFile(path.join(dataDirectory, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  await giveToServer(dataDirectory);
  const server = await startPostgres({ installation, dataDirectory, listen: 'loopback' });
  return { server, url: urlOf(server) };
}

/** Waits until more WAL has come than at the time of the call. */
export async function waitForMore(follower: RunningNeon): Promise<void> {
  const before = (await follower.status()).timelines[0]?.lastRecordLsn ?? '0/0';
  await waitFor(follower, lsn(parseLsn(before) + 1n));
}

export async function waitFor(follower: RunningNeon, target: bigint): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const found = (await follower.status()).timelines[0]?.lastRecordLsn ?? '0/0';
    if (parseLsn(found) >= target) return;
    await sleep(200);
  }
  throw new Error(`the follower did not get to ${target}: ${JSON.stringify(await follower.status())}`);
}

function urlOf({ port }: PostgresServer): string {
  return `postgresql://backup@127.0.0.1:${port}/`;
}
