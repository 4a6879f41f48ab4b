import { spawn } from 'node:child_process';
import { findPsql, RunnerError, requireEndpoint } from '@neon-snapshot/pageserver-runner';
import { repositoryPaths } from '@neon-snapshot/repository';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf, requiredRepository } from '../repository.ts';
import { connectionStringOf } from '../server/describe-endpoint.ts';
import { endpointName } from '../server/endpoint-name.ts';
import type { Session } from '../session.ts';

/** `neon endpoint psql [NAME] [-- WORD…]`: psql in this terminal, with these words; its exit code is ours. */
export async function run(session: Session): Promise<CommandResult> {
  const { args } = session;
  await requiredRepository(session);
  const endpoint = await requireEndpoint(repositoryPaths(directoryOf(session)), endpointName(args));
  if (endpoint.pid === undefined)
    throw new RunnerError({
      code: 'RUNNER_NOT_RUNNING',
      operation: 'psql',
      message: `endpoint ${endpoint.name} does not run; start it with neon endpoint start ${endpoint.name}`,
      context: { name: endpoint.name },
    });
  const connection = connectionStringOf(endpoint, args.string('database'));
  const psql = await findPsql(endpoint.postgresMajor, { env: session.env, connectionString: connection });
  const words = [
    connection,
    ...args.list('command').flatMap((text) => ['-c', text]),
    ...args.list('file').flatMap((file) => ['-f', file]),
    ...args.list('further_words'),
  ];
  // Ctrl-C is psql's: there it ends a statement, not the session.
  process.removeAllListeners('SIGINT');
  process.on('SIGINT', () => undefined);
  const exitCode = await new Promise<number>((resolve, reject) => {
    const child = spawn(psql, words, {
      stdio: 'inherit',
      cwd: session.currentDirectory,
      env: { ...session.env },
    });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
  return { command: 'endpoint psql', lines: [], data: { exitCode }, ...(exitCode === 0 ? {} : { exitCode }) };
}
