import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Session } from './session.ts';

/** The data directory of a new, cleanly stopped cluster. Dispose to remove it. */
export interface ClusterDirectory extends AsyncDisposable {
  readonly dataDirectory: string;
}

const DEFAULTS = { major: 17, superuser: 'postgres', locale: 'C.UTF-8', encoding: 'UTF8' } as const;
/** From here on Postgres has C.UTF-8 built in, the same on every machine; Neon's page server uses it too. */
const BUILTIN_LOCALE_SINCE_MAJOR = 17;

/** Makes an empty cluster with initdb in a temporary directory. */
export async function makeCluster(session: Session): Promise<ClusterDirectory> {
  const { findPostgres, initdb } = await import('@neon-snapshot/postgres-process');
  const { args, signal } = session;
  const major = Number(args.string('pg_version') ?? DEFAULTS.major);
  const installation = await findPostgres({ major, signal });
  const parent = await mkdtemp(path.join(tmpdir(), 'neon-init-'));
  const remove = () => rm(parent, { recursive: true, force: true });
  try {
    // The account that Postgres runs as has to pass through; the data directory itself is for nobody else.
    await chmod(parent, 0o755);
    const dataDirectory = path.join(parent, 'pgdata');
    session.output.note(`initdb of Postgres ${installation.version}`);
    await initdb({
      installation,
      dataDirectory,
      superuser: args.string('superuser') ?? DEFAULTS.superuser,
      encoding: DEFAULTS.encoding,
      ...localeOptions(args.string('locale'), major),
      dataChecksums: args.boolean('data_checksums'),
      sync: false,
      signal,
    });
    return { dataDirectory, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

function localeOptions(
  asked: string | undefined,
  major: number,
): { readonly locale: string; readonly localeProvider?: 'builtin' } {
  if (asked !== undefined) return { locale: asked };
  if (major < BUILTIN_LOCALE_SINCE_MAJOR) return { locale: DEFAULTS.locale };
  return { locale: DEFAULTS.locale, localeProvider: 'builtin' };
}
