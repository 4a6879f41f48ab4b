import type { BigIntStats } from 'node:fs';
import {
  type PutBody,
  type PutOptions,
  type PutResult,
  StorageError,
  throwIfAborted,
} from '@neon-snapshot/storage-core';
import { nameTakenError, translated, translateError } from './errors.ts';
import { errnoOf, link, lstat, rename, unlink } from './fs-calls.ts';
import { type FsRoot, isMissing } from './fs-root.ts';
import type { KeyedQueue } from './keyed-queue.ts';
import { etagOf } from './object-info.ts';
import { withObjectLock } from './object-lock.ts';
import { type PendingSync, syncPath } from './pending-sync.ts';
import { pruneDirectory } from './prune.ts';
import { TemporaryFile } from './temporary-file.ts';

/** A directory can be pruned by a delete between being made and being used; so often it is made again. */
const CREATE_ATTEMPTS_MAX = 20;

export interface PutPlace {
  readonly root: FsRoot;
  readonly pending: PendingSync;
  readonly queue: KeyedQueue;
  readonly fileMode: number;
}

export interface PutCall {
  readonly key: string;
  readonly path: string;
  readonly body: PutBody;
  readonly options: PutOptions;
}

/** Writes a hidden file beside the object's place, makes it durable, and only then gives it the object's name. */
export async function putObject(place: PutPlace, call: PutCall): Promise<PutResult> {
  const { key, path, options } = call;
  const { root, pending } = place;
  await refuseEarly(place, call);
  const { file, changedDirectories } = await createTemporary(place, call);
  const deferSync = options.deferSync === true && pending.hasRoom;
  try {
    const sizeBytes = await file.writeBody(key, call.body, options);
    if (!deferSync) {
      await file.stamp();
      await file.sync();
    }
    const stats = await file.finish(options.mode);
    throwIfAborted(options.signal, { operation: 'put', key });
    await translated({ operation: 'put', path, key }, () => commit(place, call, file));
    const directories = [root.directoryPath(root.parentOf(key)), ...changedDirectories];
    await settle(place, { path, device: stats.dev, deferSync, directories });
    return { etag: etagOf(stats), sizeBytes };
  } catch (error) {
    await file.discard();
    // Directories made for this put go too; the failure that counts is the first one.
    if (changedDirectories.length > 0) await pruneDirectory(root, root.parentOf(key)).catch(() => undefined);
    throw error;
  }
}

/** A condition that cannot hold is said before the body is taken. */
async function refuseEarly({ root }: PutPlace, { key, path, options }: PutCall): Promise<void> {
  if (options.ifNoneMatch === undefined && options.ifMatch === undefined) return;
  if (!(await root.checkDirectory(root.parentOf(key), 'put'))) {
    if (options.ifMatch !== undefined) throw preconditionFailed(key, options.ifMatch, undefined);
    return;
  }
  const stats = await currentVersion(path, key);
  if (options.ifNoneMatch !== undefined && stats !== undefined) throw alreadyExists(path, key);
  if (options.ifMatch !== undefined) assertVersion(key, options.ifMatch, stats);
}

async function createTemporary(
  { root, fileMode }: PutPlace,
  call: PutCall,
): Promise<{ readonly file: TemporaryFile; readonly changedDirectories: readonly string[] }> {
  const { key, options } = call;
  const parent = root.parentOf(key);
  const path = root.directoryPath(parent);
  for (let attempt = 1; ; attempt++) {
    const changedDirectories = await root.ensureDirectory(parent, 'put');
    try {
      return {
        file: await TemporaryFile.create(path, options.mode ?? fileMode, {
          operation: 'put',
          path: call.path,
          key,
        }),
        changedDirectories,
      };
    } catch (error) {
      if (!isMissing(error) || attempt === CREATE_ATTEMPTS_MAX) {
        throw await translateError(error, { operation: 'put', path, key });
      }
      root.forget('');
    }
  }
}

async function commit(place: PutPlace, call: PutCall, file: TemporaryFile): Promise<void> {
  const { key, path, options } = call;
  if (options.ifNoneMatch !== undefined) return commitIfAbsent(place, call, file);
  if (options.ifMatch === undefined) return renameInto(file.path, path, key);
  const { ifMatch } = options;
  await exclusively(place, call, async () => {
    assertVersion(key, ifMatch, await currentVersion(path, key));
    await renameInto(file.path, path, key);
  });
}

/** A hard link fails where the name is taken, on every machine that shares the directory. */
async function commitIfAbsent(place: PutPlace, call: PutCall, file: TemporaryFile): Promise<void> {
  const { key, path } = call;
  try {
    await link(file.path, path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EEXIST') throw alreadyExists(path, key);
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errno ?? '')) throw error;
    return exclusively(place, call, async () => {
      if ((await currentVersion(path, key)) !== undefined) throw alreadyExists(path, key);
      await renameInto(file.path, path, key);
    });
  }
  await unlink(file.path);
}

async function exclusively(place: PutPlace, call: PutCall, work: () => Promise<void>): Promise<void> {
  const { key, path, options } = call;
  await place.queue.run(path, () => withObjectLock({ path, key, signal: options.signal }, work));
}

async function renameInto(from: string, to: string, key: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (errnoOf(error) === 'EISDIR')
      throw nameTakenError({ operation: 'put', path: to, key, by: 'directory' });
    throw error;
  }
}

async function settle(
  { pending }: PutPlace,
  facts: {
    readonly path: string;
    readonly device: bigint;
    readonly deferSync: boolean;
    readonly directories: readonly string[];
  },
): Promise<void> {
  if (facts.deferSync) {
    pending.addFile(facts.path, facts.device);
    pending.addDirectories(facts.directories);
    return;
  }
  for (const directory of new Set(facts.directories)) await syncPath(directory);
}

async function currentVersion(path: string, key: string): Promise<BigIntStats | undefined> {
  return translated({ operation: 'put', path, key }, async () => {
    try {
      return await lstat(path, { bigint: true });
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  });
}

function assertVersion(key: string, expectedEtag: string, stats: BigIntStats | undefined): void {
  const foundEtag = stats === undefined ? undefined : etagOf(stats);
  if (foundEtag !== expectedEtag) throw preconditionFailed(key, expectedEtag, foundEtag);
}

function alreadyExists(path: string, key: string): StorageError {
  return new StorageError({
    code: 'STORAGE_ALREADY_EXISTS',
    operation: 'put',
    message: `${path} exists already`,
    key,
    context: { path },
  });
}

function preconditionFailed(key: string, expectedEtag: string, foundEtag: string | undefined): StorageError {
  return new StorageError({
    code: 'STORAGE_PRECONDITION_FAILED',
    operation: 'put',
    message: `${key} is no longer the version ${expectedEtag}: it is ${foundEtag ?? 'gone'}`,
    key,
    context: { expectedEtag, foundEtag },
  });
}
