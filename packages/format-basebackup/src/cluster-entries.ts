import type { TarEntry } from '@neon-snapshot/archive';
import { type EndEntry, FormatError, releaseChunk, type SnapshotEntry } from '@neon-snapshot/format-core';
import {
  BACKUP_LABEL_SIZE_MAX,
  CONTROL_FILE_SIZE,
  parseRelationPath,
  TABLESPACE_MAP_SIZE_MAX,
} from '@neon-snapshot/postgres';
import { gatherRuns } from './gather-runs.ts';
import type { Combination } from './incremental/combination.ts';
import { pathOfIncremental } from './incremental/incremental-file.ts';
import {
  BACKUP_LABEL_PATH,
  CONTROL_FILE_PATH,
  MANIFEST_NAME,
  pathOfMember,
  TABLESPACE_MAP_PATH,
  type TarRole,
  WAL_DIRECTORY,
} from './layout.ts';
import type { FileChecks } from './manifest-check.ts';
import { readSmallMember } from './tar-members.ts';
import type { UnloggedRelations } from './unlogged.ts';

/** What of a backup is no entry, and comes in the trailer or is known already. */
export class ClusterRemains {
  controlFile: Uint8Array | undefined;
  label: Uint8Array | undefined;
  /** Names of the WAL segments that have passed. */
  readonly walNames = new Set<string>();
}

export interface ClusterEntriesOptions {
  readonly role: TarRole;
  readonly check: FileChecks;
  readonly remains: ClusterRemains;
  readonly unlogged: UnloggedRelations;
  /** Of an incremental backup. */
  readonly combination?: Combination | undefined;
}

/** The members of one tar as entries of the snapshot; `backup_label`, `tablespace_map` and pg_control stay behind. */
export async function* clusterEntries(
  members: AsyncIterable<TarEntry>,
  options: ClusterEntriesOptions,
): AsyncGenerator<Exclude<SnapshotEntry, EndEntry>, void, undefined> {
  const { role } = options;
  for await (const member of members) {
    const path = pathOfMember(role, member.path);
    if (member.kind === 'directory') yield { kind: 'directory', path };
    else if (member.kind === 'link') {
      if (role.kind !== 'base') throw strayLink(path);
      yield { kind: 'link', path, target: member.linkTarget ?? '' };
    } else if (role.kind === 'base' && (await keepBehind(member, options))) continue;
    else if (options.unlogged.isRemade(path)) await drain(options.check.checked(path, member).body);
    else {
      const entry = await fileEntry(path, member, options);
      if (entry !== undefined) yield entry;
    }
  }
}

/** True for a member that is no entry. */
async function keepBehind(member: TarEntry, { check, remains }: ClusterEntriesOptions): Promise<boolean> {
  const { path } = member;
  if (path === MANIFEST_NAME) return true;
  if (path === CONTROL_FILE_PATH) {
    remains.controlFile = await readSmallMember(member, CONTROL_FILE_SIZE);
    check.assertBytes(path, remains.controlFile);
    return true;
  }
  if (path === BACKUP_LABEL_PATH) {
    remains.label = await readSmallMember(member, BACKUP_LABEL_SIZE_MAX);
    check.assertBytes(path, remains.label);
    return true;
  }
  if (path !== TABLESPACE_MAP_PATH) return false;
  check.assertBytes(path, await readSmallMember(member, TABLESPACE_MAP_SIZE_MAX));
  return true;
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of body) releaseChunk(chunk);
}

async function fileEntry(
  path: string,
  member: TarEntry,
  { check, remains, combination }: ClusterEntriesOptions,
): Promise<Exclude<SnapshotEntry, EndEntry> | undefined> {
  const { sizeBytes, modifiedAt } = member;
  if (path.startsWith(`${WAL_DIRECTORY}/`)) remains.walNames.add(path.slice(WAL_DIRECTORY.length + 1));
  const { body, crc32c } = check.checked(path, member);
  const whole = pathOfIncremental(path);
  if (whole !== undefined) {
    if (combination === undefined) throw unexpectedIncremental(path);
    return combination.entryOf({ path: whole, sizeBytes, modifiedAt, body });
  }
  const isRelation = parseRelationPath(path) !== undefined;
  return {
    kind: 'file',
    path,
    sizeBytes,
    modifiedAt,
    body: gatherRuns(body, { path, sizeBytes, isRelation }),
    ...(crc32c === undefined ? {} : { crc32c }),
  };
}

function unexpectedIncremental(path: string): FormatError {
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'read backup',
    message: `${path} is a part of an incremental backup, and its backup_label does not say that it is one; the backup is damaged`,
    context: { path },
  });
}

function strayLink(path: string): FormatError {
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'read backup',
    message: `${path} is a link in the tar of a tablespace, where no server puts one; the backup is damaged or hostile`,
    context: { path },
  });
}
