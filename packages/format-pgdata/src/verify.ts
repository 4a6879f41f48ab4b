import {
  type SnapshotReader,
  VerifyCollector,
  type VerifyContext,
  type VerifyReport,
  verifyStream,
} from '@neon-snapshot/format-core';
import {
  formatLsn,
  isPostgresFormatError,
  MANIFEST_SIZE_MAX,
  parseBackupManifest,
} from '@neon-snapshot/postgres';
import { MANIFEST_PATH } from './data-directory-layout.ts';
import { ManifestCheck } from './manifest-check.ts';
import { readObjectIfAny } from './read-object.ts';
import { openReader } from './reader.ts';

/**
 * Checks a data directory. `meta`: it opens as a snapshot. `hash`: every file reads to its end and has the size and checksum that
 * `backup_manifest` says, where there is one that is not older than the directory. `pages`: every relation page has a header and,
 * with checksums on, the right one. Codes: see the README. What cannot be opened at all rejects as `openReader` does.
 */
export async function verify(context: VerifyContext): Promise<VerifyReport> {
  const { level, onProgress, signal } = context;
  const collector = new VerifyCollector();
  // Pages are judged here, all of them, instead of ending at the first bad one.
  await using reader = await openReader({ ...context, pagesVerifiedDownstream: true });
  collector.count('plannedFiles', reader.plan?.length ?? 0);
  collector.count('plannedBytes', reader.info.bytesTotal ?? 0);
  if (level === 'meta') return collector.report();
  if (level === 'hash' && (await verifyManifest(context, reader, collector))) return collector.report();
  await verifyStream(reader, { collector, checkPages: level === 'pages', onProgress, signal });
  return collector.report();
}

/** False where there is no manifest to compare with. */
async function verifyManifest(
  context: VerifyContext,
  { info }: SnapshotReader,
  collector: VerifyCollector,
): Promise<boolean> {
  const { storage, services, signal } = context;
  const bytes = await readObjectIfAny(storage, MANIFEST_PATH, { sizeMaxBytes: MANIFEST_SIZE_MAX, signal });
  collector.count('manifestFiles', 0);
  if (bytes === undefined) {
    collector.warning({
      code: 'MANIFEST_ABSENT',
      path: MANIFEST_PATH,
      message: `there is no ${MANIFEST_PATH}: files are read, and there is nothing to compare them with`,
    });
    return false;
  }
  try {
    const manifest = parseBackupManifest(bytes);
    const end = manifest.walRanges.at(-1)?.endLsn;
    if (end === undefined || end !== info.lsn) {
      collector.warning({
        code: 'MANIFEST_STALE',
        path: MANIFEST_PATH,
        message: `${MANIFEST_PATH} is of ${end === undefined ? 'no LSN' : formatLsn(end)}, the directory of ${formatLsn(info.lsn)}: a server ran on it since, so the two are not compared`,
      });
      return false;
    }
    const { postgresMajor } = info;
    await new ManifestCheck({ storage, services, postgresMajor, collector, signal }).run(manifest);
    return true;
  } catch (error) {
    if (!isPostgresFormatError(error)) throw error;
    collector.error({ code: 'MANIFEST_INVALID', path: MANIFEST_PATH, message: error.message });
    return false;
  }
}
