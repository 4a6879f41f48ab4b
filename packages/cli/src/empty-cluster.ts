import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Session } from './session.ts';

/** The data directory of a new, cleanly stopped cluster. Dispose to remove it. */
export interface ClusterDirectory extends AsyncDisposable {
  readonly dataDirectory: string;
}

const DEFAULTS = { major: 17, superuser: 'postgres', locale: 'C.UTF-8', encoding: 'UTF8' } as const;

/** Makes an empty cluster with initdb in a temporary directory. */
export async function makeCluster(session: Session): Promise<ClusterDirectory> {
  const { findPostgres, initdb } = await import('@neon-snapshot/postgres-process');
  const major = Number(session.args.string('pg_version') ?? DEFAULTS.major);
  const installation = await findPostgres({ major });
  const parent = await mkdtemp(path.join(tmpdir(), 'neon-init-'));
  const remove = () => rm(parent, { recursive: true, force: true });
  try {
    const dataDirectory = path.join(parent, 'pgdata');
    session.output.note(`initdb of Postgres ${installation.version}`);
    await initdb({
      installation,
      dataDirectory,
      superuser: session.args.string('superuser') ?? DEFAULTS.superuser,
      encoding: DEFAULTS.encoding,
      locale: session.args.string('locale') ?? DEFAULTS.locale,
      dataChecksums: session.args.boolean('data_checksums'),
      signal: session.signal,
    });
    return { dataDirectory, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
