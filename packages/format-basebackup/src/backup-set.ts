import { FormatError, fileFault } from '@neon-snapshot/format-core';
import {
  type BackupManifest,
  isPostgresFormatError,
  MANIFEST_SIZE_MAX,
  parseBackupManifest,
} from '@neon-snapshot/postgres';
import { readAll, type Storage } from '@neon-snapshot/storage-core';
import { MANIFEST_NAME, parseTarName, type TablespaceRole, type TarName, type TarRole } from './layout.ts';

/** A tar of a backup as it lies in the storage. */
export interface StoredTar extends TarName {
  readonly key: string;
  readonly sizeBytes: number;
}

/** The objects of one backup. */
export interface BackupSet {
  readonly base: StoredTar;
  readonly wal: StoredTar | undefined;
  /** By OID, ascending. */
  readonly tablespaces: readonly (StoredTar & { readonly role: TablespaceRole })[];
  readonly manifest: BackupManifest | undefined;
}

interface Place {
  readonly storage: Storage;
  readonly signal?: AbortSignal | undefined;
}

/** Lists a backup and reads its manifest. `FORMAT_NOT_FOUND` without a base.tar, `FORMAT_AMBIGUOUS` for one tar in two forms. */
export async function findBackup({ storage, signal }: Place): Promise<BackupSet> {
  const tars: StoredTar[] = [];
  let hasManifest = false;
  for await (const { objects } of storage.list({ delimiter: '/', signal })) {
    for (const { key, sizeBytes } of objects) {
      const name = parseTarName(key);
      if (name !== undefined) tars.push({ ...name, key, sizeBytes });
      else if (key === MANIFEST_NAME) hasManifest = true;
    }
  }
  const base = oneOf(tars, storage, ({ role }) => role.kind === 'base');
  if (base === undefined) throw notFound(storage);
  const byOid = new Map<number, StoredTar & { readonly role: TablespaceRole }>();
  for (const tar of tars) {
    const { role } = tar;
    if (role.kind !== 'tablespace') continue;
    const found = oneOf(tars, storage, (other) => isTablespace(other.role, role.oid));
    if (found !== undefined) byOid.set(role.oid, { ...found, role });
  }
  return {
    base,
    wal: oneOf(tars, storage, ({ role }) => role.kind === 'wal'),
    tablespaces: [...byOid.values()].sort((a, b) => a.role.oid - b.role.oid),
    manifest: hasManifest ? await readManifest({ storage, signal }) : undefined,
  };
}

function isTablespace(role: TarRole, oid: number): boolean {
  return role.kind === 'tablespace' && role.oid === oid;
}

function oneOf(
  tars: readonly StoredTar[],
  storage: Storage,
  isIt: (tar: StoredTar) => boolean,
): StoredTar | undefined {
  const [only, another] = tars.filter(isIt);
  if (only === undefined || another === undefined) return only;
  throw new FormatError({
    code: 'FORMAT_AMBIGUOUS',
    operation: 'find backup',
    message: `${storage.url} has both ${only.key} and ${another.key}: two backups, or one and a leftover; keep one of them there`,
    context: { keys: `${only.key}, ${another.key}` },
  });
}

async function readManifest({ storage, signal }: Place): Promise<BackupManifest> {
  const { body } = await storage.get(MANIFEST_NAME, { signal });
  const bytes = await readAll(body, { sizeMaxBytes: MANIFEST_SIZE_MAX, key: MANIFEST_NAME });
  try {
    return parseBackupManifest(bytes);
  } catch (error) {
    if (isPostgresFormatError(error)) throw fileFault(error, { path: MANIFEST_NAME, url: storage.url });
    throw error;
  }
}

function notFound(storage: Storage): FormatError {
  return new FormatError({
    code: 'FORMAT_NOT_FOUND',
    operation: 'find backup',
    message: `there is no base.tar in ${storage.url}, nor base.tar.gz, .lz4 or .zst; it is no backup of pg_basebackup -Ft, or a part of one`,
  });
}
