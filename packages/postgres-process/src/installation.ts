import { access, constants, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runCommand } from './run-command.ts';
import type { ServerUser } from './server-user.ts';

/** A Postgres that runs on this machine. */
export interface PostgresInstallation {
  /** 17 of 17.10. */
  readonly major: number;
  /** As the server prints it: `17.10`, or `18beta1`. */
  readonly version: string;
  /** Holds at least `postgres` and `initdb`, reachable by the account that servers run as. */
  readonly binDirectory: string;
  readonly source: 'environment' | 'npm' | 'path' | 'system';
}

export interface InspectOptions {
  readonly source: PostgresInstallation['source'];
  readonly user: ServerUser | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The installation whose programs are in `directory`, or undefined when none runs from there. */
export async function inspectInstallation(
  directory: string,
  options: InspectOptions,
): Promise<PostgresInstallation | undefined> {
  const binary = await realServerBinary(directory);
  if (binary === undefined) return undefined;
  const result = await runCommand({
    file: binary,
    args: ['--version'],
    user: options.user,
    signal: options.signal,
  });
  const version = /\(PostgreSQL\) ((\d+)\S*)/.exec(result.stdout);
  if (result.code !== 0 || version?.[1] === undefined) return undefined;
  return {
    major: Number(version[2]),
    version: version[1],
    binDirectory: dirname(binary),
    source: options.source,
  };
}

/** Follows links, so that `/usr/local/bin/postgres` leads to the directory with its sibling programs. */
async function realServerBinary(directory: string): Promise<string | undefined> {
  try {
    const binary = await realpath(join(directory, 'postgres'));
    await access(binary, constants.X_OK);
    await access(join(dirname(binary), 'initdb'), constants.X_OK);
    return binary;
  } catch {
    return undefined;
  }
}
