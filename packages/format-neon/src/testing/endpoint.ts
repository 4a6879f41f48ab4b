/* A Postgres that goes on with a timeline, as an endpoint does, and the WAL that it writes. */
import { existsSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { plugin as pgdata } from '@neon-snapshot/format-pgdata';
import {
  decodeControlFile,
  type Lsn,
  WAL_SEGMENT_SIZE_DEFAULT,
  walSegmentFileName,
  walSegmentNumber,
} from '@neon-snapshot/postgres';
import {
  findPostgres,
  type PostgresServer,
  startPostgres,
  unprivilegedUser,
} from '@neon-snapshot/postgres-process';
import type { Storage } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { plugin as neon } from '../plugin.ts';
import { copy } from './copy.ts';

const SEGMENT_SIZE = WAL_SEGMENT_SIZE_DEFAULT;

export interface Endpoint extends AsyncDisposable {
  readonly dataDirectory: string;
  /** Where its shutdown checkpoint lies. */
  readonly checkPoint: Lsn;
  /** Starts it, and stops it after the work. */
  run<T>(work: (server: PostgresServer) => Promise<T>): Promise<T>;
  /** Starts it, and kills all its processes in the midst of the work. */
  crash(work: (server: PostgresServer) => Promise<unknown>, afterMs: number): Promise<void>;
  /** What a walsender sends from a place on: up to the checkpoint that stopped it. */
  walFrom(start: Lsn): Uint8Array;
}

/** Exports a timeline into a fresh directory. */
export async function exportEndpoint(
  storage: Storage,
  options: Record<string, string> = { timeline_id_mode: 'continue' },
): Promise<Endpoint> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'neon-endpoint-'));
  {
    await using destination = await openFsStorage({ rootPath: dataDirectory, create: true });
    await copy({ format: neon, storage, options }, { format: pgdata, storage: destination });
  }
  const user = unprivilegedUser();
  if (user !== undefined) {
    const names = await readdir(dataDirectory, { recursive: true });
    for (const name of ['', ...names]) await chown(join(dataDirectory, name), user.uid, user.gid);
  }
  const control = () => decodeControlFile(readFileSync(join(dataDirectory, 'global/pg_control')));
  const major = Number(readFileSync(join(dataDirectory, 'PG_VERSION'), 'utf8'));
  return {
    dataDirectory,
    checkPoint: control().checkPoint,
    run: async (work) => {
      const installation = await findPostgres({ major });
      await using server = await startPostgres({
        installation,
        dataDirectory,
        settings: { max_wal_size: '10GB', wal_keep_size: '1GB' },
      });
      const result = await work(server);
      await server.stop('fast');
      return result;
    },
    crash: async (work, afterMs) => {
      await using server = await startPostgres({
        installation: await findPostgres({ major }),
        dataDirectory,
        settings: { max_wal_size: '10GB', wal_keep_size: '1GB' },
      });
      const ended = work(server).catch(() => undefined);
      await delay(afterMs);
      await server.stop('kill');
      await ended;
    },
    walFrom: (start) => {
      const { checkPoint } = control();
      const end = checkPoint + BigInt(checkpointRecordSize(major));
      return segmentsFrom(dataDirectory, start).subarray(0, Number(end - start));
    },
    [Symbol.asyncDispose]: () => rm(dataDirectory, { recursive: true, force: true }),
  };
}

/** Padded to 8. The tests' stop checkpoints do not cross a page. */
function checkpointRecordSize(major: number): number {
  return major >= 18 ? 128 : 120;
}

function segmentsFrom(dataDirectory: string, start: Lsn): Uint8Array {
  const segments: Uint8Array[] = [];
  for (let segno = walSegmentNumber(start, SEGMENT_SIZE); ; segno++) {
    const path = join(dataDirectory, 'pg_wal', walSegmentFileName(1, segno, SEGMENT_SIZE));
    if (!existsSync(path)) break;
    segments.push(readFileSync(path));
  }
  return Uint8Array.from(Buffer.concat(segments)).subarray(Number(start % BigInt(SEGMENT_SIZE)));
}
