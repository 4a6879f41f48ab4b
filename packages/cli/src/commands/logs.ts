import {
  followLog,
  pageServerLogFile,
  readLastLines,
  requireEndpoint,
} from '@neon-snapshot/pageserver-runner';
import { type RepositoryPaths, repositoryPaths } from '@neon-snapshot/repository';
import { usageError } from '../cli-error.ts';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf, requiredRepository } from '../repository.ts';
import type { Session } from '../session.ts';

const LINES_DEFAULT = 100;

/** `neon logs`: the end of a log, and with `--follow` what comes. */
export async function run(session: Session): Promise<CommandResult> {
  await requiredRepository(session);
  const { args } = session;
  const follows = args.boolean('follow');
  if (follows && args.boolean('json'))
    throw usageError('--follow goes on for ever, --json is one object; leave one out');
  const path = await logFile(repositoryPaths(directoryOf(session)), args.string('endpoint'));
  const lines = await readLastLines(path, args.integer('lines') ?? LINES_DEFAULT);
  if (!follows) return { command: 'logs', lines, data: { path, lines } };
  session.output.text(lines.map((line) => `${line}\n`).join(''));
  for await (const text of followLog(path, session.signal)) session.output.text(text);
  return { command: 'logs', lines: [], data: {} };
}

async function logFile(paths: RepositoryPaths, endpoint: string | undefined): Promise<string> {
  return endpoint === undefined
    ? pageServerLogFile(paths)
    : (await requireEndpoint(paths, endpoint)).paths.logFile;
}
