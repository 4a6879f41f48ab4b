/** Files of an export that are neither relations nor transaction status: configuration, WAL, aux files, replication origins. */
import { dirname } from 'node:path/posix';
import { assertSafeEntryPath, standardDirectories } from '@neon-snapshot/format-core';
import type { TimelineContents } from '@neon-snapshot/neon-timeline';
import { encodeReplicationOrigins, REPLICATION_ORIGINS_PATH } from '@neon-snapshot/postgres';
import type { ExportControl } from './export-control.ts';

export interface OtherFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface OtherFilesSource {
  readonly contents: TimelineContents;
  readonly control: ExportControl;
  readonly configurationFiles: ReadonlyMap<string, Uint8Array>;
  readonly warn: (message: string) => void;
}

/** Where Neon keeps aux files; anything else in an aux value is not for a data directory. */
const AUX_DIRECTORIES = ['pg_logical/', 'pg_replslot/', 'pg_stat/'];
const STATISTICS_DIRECTORY = 'pg_stat/';
const REPLICATION_SLOT = /^pg_replslot\/([^/]+)\/state$/;

export function collectOtherFiles(source: OtherFilesSource): OtherFile[] {
  const { contents, control, configurationFiles } = source;
  const files = [...configurationFiles].map(([path, bytes]) => ({ path, bytes }));
  files.push(...control.walFiles, ...auxFiles(source));
  if (contents.replicationOrigins.length > 0) {
    files.push({
      path: REPLICATION_ORIGINS_PATH,
      bytes: encodeReplicationOrigins(contents.replicationOrigins),
    });
  }
  return files;
}

/** Names of the replication slots among a timeline's aux files. */
export function replicationSlotsOf({ auxFiles }: TimelineContents): string[] {
  return auxFiles.flatMap(({ path }) => REPLICATION_SLOT.exec(path)?.[1] ?? []).sort();
}

/** Every directory that a start of that major needs, and the parents of the files; parents first. */
export function exportDirectories(paths: Iterable<string>, postgresMajor: number): string[] {
  const directories = new Set(standardDirectories(postgresMajor));
  for (const path of paths) {
    for (let at = dirname(path); at !== '.' && !directories.has(at); at = dirname(at)) directories.add(at);
  }
  return [...directories].sort();
}

function auxFiles({ contents, control, warn }: OtherFilesSource): OtherFile[] {
  const files: OtherFile[] = [];
  for (const { path, content } of contents.auxFiles) {
    assertSafeEntryPath(path);
    // Statistics are those of the last clean shutdown: at any later LSN they would be wrong.
    if (path.startsWith(STATISTICS_DIRECTORY) && !control.isCleanShutdown) continue;
    if (path === REPLICATION_ORIGINS_PATH) continue;
    if (AUX_DIRECTORIES.some((directory) => path.startsWith(directory))) files.push({ path, bytes: content });
    else warn(`the timeline has an aux file ${path}, which no data directory has; left out`);
  }
  const slots = replicationSlotsOf(contents);
  if (slots.length > 0) {
    warn(
      `replication slots come without the WAL before the snapshot (${slots.join(', ')}); drop those that nobody uses, they hold back WAL`,
    );
  }
  return files;
}
