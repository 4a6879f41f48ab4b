import { constants } from 'node:fs';
import { access, mkdtemp, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Storage } from '@neon-snapshot/storage-core';
import { CliError } from './cli-error.ts';

export interface WritableDirectory {
  /** The directory, or the nearest one above it that is there. */
  readonly existing: string;
  /** Something can be made in it. */
  readonly isWritable: boolean;
}

/** Looks whether a directory could be written, or made, and writes nothing. */
export async function lookAtDirectory(directory: string): Promise<WritableDirectory> {
  const existing = await nearestExisting(directory);
  const isWritable = await access(existing, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  return { existing, isWritable: isWritable && (await stat(existing)).isDirectory() };
}

/** Whether a directory can be made in one that is there: permission bits do not tell it of /proc and its like. Leaves nothing. */
export async function canMakeDirectory(existing: string): Promise<boolean> {
  const made = await mkdtemp(path.join(existing, '.neon-probe-')).catch(() => undefined);
  if (made !== undefined) await rmdir(made);
  return made !== undefined;
}

/** What a dry run can tell of a destination beforehand: only a directory says who may write it. */
export async function assertWritable(destination: Storage, operation: string): Promise<void> {
  const directory = destination.fileTree?.rootPath;
  if (directory === undefined) return;
  const { existing, isWritable } = await lookAtDirectory(directory);
  if (isWritable) return;
  throw new CliError(
    'CLI_DESTINATION_UNWRITABLE',
    operation,
    `${destination.url} cannot be written: ${existing} is no directory that this user may write to; choose another place, or another user`,
    { destination: destination.url, existing },
  );
}

async function nearestExisting(directory: string): Promise<string> {
  let candidate = directory;
  while (candidate !== path.dirname(candidate)) {
    const exists = await stat(candidate).then(
      () => true,
      () => false,
    );
    if (exists) return candidate;
    candidate = path.dirname(candidate);
  }
  return candidate;
}
