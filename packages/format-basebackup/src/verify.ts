import {
  assertKnownOptions,
  VerifyCollector,
  type VerifyContext,
  type VerifyReport,
  verifyStream,
} from '@neon-snapshot/format-core';
import { type BackupSet, findBackup } from './backup-set.ts';
import { MANIFEST_NAME, TABLESPACE_DIRECTORY } from './layout.ts';
import type { ManifestFault } from './manifest-check.ts';
import { READ_OPTIONS } from './options.ts';
import { openFound } from './reader.ts';

/**
 * Checks a backup. `meta`: its manifest, the head of base.tar and the facts of its cluster are read, and every tablespace has its
 * tar. `hash`: every tar reads to its end, its files are those of the manifest, and the WAL that the backup needs is there. `pages`:
 * all that, and every relation page has a header and, with checksums on, the right one. Codes: see the README. What cannot be
 * opened at all rejects as `openReader` does.
 */
export async function verify(context: VerifyContext): Promise<VerifyReport> {
  assertKnownOptions(context.options, READ_OPTIONS);
  const { level, onProgress, signal, storage } = context;
  const collector = new VerifyCollector();
  const set = await findBackup({ storage, signal });
  collector.count('tars', 1 + set.tablespaces.length + (set.wal === undefined ? 0 : 1));
  collector.count('manifestFiles', set.manifest?.files.length ?? 0);
  if (set.manifest === undefined) {
    const message = `there is no ${MANIFEST_NAME}: nothing there can be compared with it`;
    collector.warning({ code: 'MANIFEST_ABSENT', path: MANIFEST_NAME, message });
  }
  const onFault = ({ code, path, what }: ManifestFault) => {
    collector.error({
      code,
      path,
      message: `${code === 'FILE_TWICE' ? 'the backup' : MANIFEST_NAME} ${what}`,
    });
  };
  await using reader = await openFound(context, set, { onFault, needsControlFile: level === 'pages' });
  const oids = [...reader.info.tablespaces.map(({ oid }) => oid), ...listedOids(set)];
  for (const oid of new Set(oids)) {
    if (set.tablespaces.some(({ role }) => role.oid === oid)) continue;
    const message = `the tablespace ${oid} has no tar: ${oid}.tar, or with the extension of its compression, is missing`;
    collector.error({ code: 'TAR_MISSING', path: `${TABLESPACE_DIRECTORY}/${oid}`, message });
  }
  if (level !== 'meta')
    await verifyStream(reader, { collector, checkPages: level === 'pages', onProgress, signal });
  return collector.report();
}

const IN_TABLESPACE = /^pg_tblspc\/([1-9]\d{0,9})\//;

/** Tablespaces with files in the manifest. */
function listedOids({ manifest }: BackupSet): number[] {
  return (manifest?.files ?? []).flatMap(({ path }) => {
    const oid = IN_TABLESPACE.exec(path)?.[1];
    return oid === undefined ? [] : [Number(oid)];
  });
}
