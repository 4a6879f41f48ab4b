/**
 * Which primary a repository follows: `.neon/follow.json`, and the password that was given with it in `.neon/follow.pgpass`.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { WalSourceSettings } from '@neon-snapshot/pageserver-runner';
import type { PqTlsMode } from '@neon-snapshot/pq-proto';
import type { RepositoryPaths } from '@neon-snapshot/repository';
import { usageError } from '../cli-error.ts';

/** What `follow.json` holds; no secret. */
export interface FollowedPrimary {
  /** `postgresql://user@host:port` */
  readonly server: string;
  readonly timelineId: string;
  readonly source: FollowSource;
}

/** A page server's WAL source that is not ours. */
export type FollowSource = WalSourceSettings & {
  readonly tls: PqTlsMode;
  readonly tlsRootCertificate?: string | undefined;
  readonly timeLineId: number;
};

function fileOf({ root }: RepositoryPaths): string {
  return path.join(root, 'follow.json');
}

export function passfileOf({ root }: RepositoryPaths): string {
  return path.join(root, 'follow.pgpass');
}

/** Undefined where the repository follows nothing. */
export async function readFollowed(paths: RepositoryPaths): Promise<FollowedPrimary | undefined> {
  const file = fileOf(paths);
  try {
    const found: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (isFollowed(found)) return found;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw usageError(`${file} is damaged; it is written by neon start --follow: follow the primary anew`);
}

export async function writeFollowed(paths: RepositoryPaths, followed: FollowedPrimary): Promise<void> {
  await writeFile(fileOf(paths), `${JSON.stringify(followed, undefined, 2)}\n`, { mode: 0o600 });
}

export async function forgetFollowed(paths: RepositoryPaths): Promise<void> {
  await rm(fileOf(paths), { force: true });
  await rm(passfileOf(paths), { force: true });
}

/** A Postgres of ours would write another history onto the timeline. */
export async function assertNotFollowing(paths: RepositoryPaths, timelineId: string): Promise<void> {
  const followed = await readFollowed(paths);
  if (followed?.timelineId !== timelineId) return;
  throw usageError(
    `timeline ${timelineId} follows ${followed.server} and takes no other WAL; put an endpoint on a branch of it (neon branch create), or end that with neon start --unfollow`,
  );
}

function isFollowed(value: unknown): value is FollowedPrimary {
  if (typeof value !== 'object' || value === null) return false;
  const { server, timelineId, source } = value as Readonly<Record<string, unknown>>;
  return (
    typeof server === 'string' &&
    typeof timelineId === 'string' &&
    typeof source === 'object' &&
    source !== null &&
    'slot' in source
  );
}
