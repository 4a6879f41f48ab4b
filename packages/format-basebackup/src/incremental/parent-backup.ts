import { decompress, indexTar } from '@neon-snapshot/archive';
import { FormatError, type ReadContext } from '@neon-snapshot/format-core';
import { type BackupLabel, formatLsn } from '@neon-snapshot/postgres';
import { readAll, type Storage } from '@neon-snapshot/storage-core';
import { archiveFault } from '../archive-fault.ts';
import { findBackup, type StoredTar } from '../backup-set.ts';
import { readBaseHead } from '../base-head.ts';
import { pathOfMember } from '../layout.ts';

/** A file of an earlier backup, of which any part can be read. */
export interface ParentFile {
  readonly path: string;
  readonly sizeBytes: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** An earlier backup, by its files. */
export interface ParentBackup {
  readonly url: string;
  readonly label: BackupLabel;
  readonly systemIdentifier: bigint | undefined;
  find(path: string): ParentFile | undefined;
}

export interface OpenParentOptions {
  readonly context: ReadContext;
  readonly storage: Storage;
  /** Where compressed tars are unpacked to plain ones; opened when there is one. */
  readonly openScratch: () => Promise<Storage>;
  /** Of this parent, in the scratch. */
  readonly name: string;
}

/** Finds the files of an earlier backup by the headers of its tars. */
export async function openParent(options: OpenParentOptions): Promise<ParentBackup> {
  const { context, storage } = options;
  const { signal } = context;
  const set = await findBackup({ storage, signal });
  const { label } = await readBaseHead({ storage, tar: set.base, signal });
  if (label === undefined) {
    throw new FormatError({
      code: 'FORMAT_INVALID',
      operation: 'open parent backup',
      message: `base.tar in ${storage.url} does not begin with backup_label; nothing can be incremental to it`,
    });
  }
  const files = new Map<string, ParentFile>();
  for (const tar of [set.base, ...set.tablespaces]) await indexInto(files, tar, options);
  return {
    url: storage.url,
    label: label.decoded,
    systemIdentifier: set.manifest?.systemIdentifier,
    find: (path) => files.get(path),
  };
}

/** Each backup has to begin where the one before it says that it goes on from; the first is whole. */
export function assertChain(
  chain: readonly {
    readonly url: string;
    readonly label: BackupLabel;
    readonly systemIdentifier: bigint | undefined;
  }[],
): void {
  for (const [index, backup] of chain.entries()) {
    const before = chain[index - 1];
    const { incrementalFrom } = backup.label;
    if (before === undefined) {
      if (incrementalFrom === undefined) continue;
      throw chainError(`${backup.url} is incremental itself; name the full backup first`);
    }
    if (incrementalFrom === undefined)
      throw chainError(`${backup.url} is a full backup; name it first or leave it out`);
    const { startWalLocation, startTimeLineId } = before.label;
    if (incrementalFrom.lsn !== startWalLocation || incrementalFrom.timeLineId !== startTimeLineId) {
      throw chainError(
        `${backup.url} goes on from ${formatLsn(incrementalFrom.lsn)} (TimeLineID ${incrementalFrom.timeLineId}), but ${before.url} begins at ${formatLsn(startWalLocation)} (${startTimeLineId}); a backup between them is missing, or they are in the wrong order`,
      );
    }
    if (before.systemIdentifier !== undefined && before.systemIdentifier !== backup.systemIdentifier) {
      throw chainError(`${before.url} and ${backup.url} are of two clusters`);
    }
  }
}

async function indexInto(
  files: Map<string, ParentFile>,
  tar: StoredTar,
  options: OpenParentOptions,
): Promise<void> {
  const { signal } = options.context;
  const { storage, key, sizeBytes } = await plainTar(tar, options);
  const read = async ({ offset, length }: { readonly offset: number; readonly length: number }) => {
    if (length === 0) return new Uint8Array(0);
    const { body } = await storage.get(key, { range: { offset, length }, signal });
    return readAll(body, { sizeMaxBytes: length, key });
  };
  try {
    for await (const member of indexTar({ sizeBytes, read, signal })) {
      const path = pathOfMember(tar.role, member.path);
      files.set(path, {
        path,
        sizeBytes: member.sizeBytes,
        read: (offset, length) => read({ offset: member.offset + offset, length }),
      });
    }
  } catch (error) {
    throw archiveFault(error, { key: tar.key, url: options.storage.url });
  }
}

async function plainTar(
  tar: StoredTar,
  { context, storage, openScratch, name }: OpenParentOptions,
): Promise<{ readonly storage: Storage; readonly key: string; readonly sizeBytes: number }> {
  if (tar.compression === undefined) return { storage, key: tar.key, sizeBytes: tar.sizeBytes };
  const { signal } = context;
  const { body } = await storage.get(tar.key, { signal });
  const scratch = await openScratch();
  const key = `${name}-${tar.key.slice(0, tar.key.indexOf('.'))}.tar`;
  try {
    const { sizeBytes } = await scratch.put(key, decompress(body, tar.compression, { signal }), { signal });
    return { storage: scratch, key, sizeBytes };
  } catch (error) {
    throw archiveFault(error, { key: tar.key, url: storage.url });
  }
}

function chainError(message: string): FormatError {
  return new FormatError({ code: 'FORMAT_INVALID', operation: 'combine backups', message });
}
