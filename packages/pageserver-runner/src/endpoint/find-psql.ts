import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { isPostgresProcessError, listPostgres } from '@neon-snapshot/postgres-process';
import { RunnerError } from '../runner-error.ts';

/** Psql of the endpoint's major or newer: of an installed Postgres, else of the PATH. Throws `RUNNER_PSQL_NOT_FOUND`. */
export async function findPsql(
  major: number,
  options: { readonly env: Readonly<Record<string, string | undefined>>; readonly connectionString: string },
): Promise<string> {
  const installations = await listPostgres().catch((error: unknown) => {
    if (isPostgresProcessError(error)) return [];
    throw error;
  });
  const fitting = [...installations].sort((a, b) => rank(a.major, major) - rank(b.major, major));
  const directories = [
    ...fitting.map((installation) => installation.binDirectory),
    ...(options.env.PATH ?? '').split(delimiter).filter((directory) => directory !== ''),
  ];
  for (const directory of directories) {
    const program = join(directory, 'psql');
    if (await isExecutable(program)) return program;
  }
  throw new RunnerError({
    code: 'RUNNER_PSQL_NOT_FOUND',
    operation: 'find psql',
    message: `no psql was found, neither beside an installed Postgres nor on the PATH (npm's Postgres has none); get it with apt-get install postgresql-client, dnf install postgresql or brew install libpq, or use any other client with ${options.connectionString}`,
  });
}

/** The same major first, then newer ones, then older ones. */
function rank(found: number, wanted: number): number {
  return found >= wanted ? found - wanted : 100 + wanted - found;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
