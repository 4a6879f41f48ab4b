import { createHash } from 'node:crypto';
import { encodeUstarHeader, paddingOf, TAR_END_SIZE } from '@neon-snapshot/archive';
import {
  BackupManifestWriter,
  type ControlFile,
  crc32c,
  encodeBackupLabel,
  encodeControlFile,
  encodeTablespaceMap,
  encodeWalPageHeader,
  formatManifestCrc32c,
  lsn,
  manifestVersionOf,
  stockCheckPoint,
  stockControlFile,
  tablespaceVersionDirectory,
  WAL_PAGE_FLAG,
  WAL_PAGE_MAGIC,
} from '@neon-snapshot/postgres';
import { createMemoryStorage, type Storage } from '@neon-snapshot/storage-core';

/** A member of a tar; `raw` goes in as it is, in place of a header and a body. */
export type TinyMember =
  | { readonly path: string; readonly bytes: Uint8Array }
  | { readonly path: string; readonly linkTarget: string }
  | { readonly path: string; readonly isDirectory: true }
  | { readonly raw: Uint8Array };

const SEGMENT_SIZE_BYTES = 1024 * 1024;
const SYSTEM_IDENTIFIER = 7_710_864_959_956_258_265n;
const TABLESPACE_OID = 16500;
const NOW = new Date('2026-11-24T12:00:00Z');
const START = lsn(0x200028n);
const END = lsn(0x200120n);

/** The tars of a made-up backup, member by member, so that a test can spoil one. No Postgres would start on it. */
export interface TinyBackup {
  readonly base: TinyMember[];
  readonly tablespace: TinyMember[];
  readonly wal: TinyMember[];
}

export function makeTinyBackup(major = 17): TinyBackup {
  const text = (value: string) => new TextEncoder().encode(value);
  const directory = tablespaceVersionDirectory(major);
  const pages = (count: number, seed: number) => new Uint8Array(count * 8192).fill(seed);
  return {
    base: [
      { path: 'backup_label', bytes: label() },
      {
        path: 'tablespace_map',
        bytes: encodeTablespaceMap([{ oid: TABLESPACE_OID, path: '/srv/away' }]),
      },
      { path: 'base', isDirectory: true },
      { path: 'base/5', isDirectory: true },
      { path: 'PG_VERSION', bytes: text(`${major}\n`) },
      { path: 'postgresql.conf', bytes: text('port = 5432\n') },
      { path: 'base/5/1259', bytes: pages(3, 1) },
      { path: 'base/5/1260', bytes: new Uint8Array(0) },
      { path: 'global', isDirectory: true },
      { path: 'global/pg_control', bytes: encodeControlFile(controlFile(major)) },
    ],
    tablespace: [
      { path: directory, isDirectory: true },
      { path: `${directory}/5`, isDirectory: true },
      { path: `${directory}/5/16600`, bytes: pages(2, 2) },
    ],
    wal: [{ path: '000000010000000000000002', bytes: walSegment(major) }],
  };
}

/** The backup in a storage, with the manifest of what its members were at first. */
export async function storeTinyBackup(
  backup: TinyBackup,
  options: {
    readonly major?: number;
    readonly manifestOf?: TinyBackup;
    readonly compress?: (bytes: Uint8Array) => Uint8Array;
    readonly extension?: string;
  } = {},
): Promise<Storage> {
  const {
    major = 17,
    manifestOf = makeTinyBackup(major),
    compress = (bytes) => bytes,
    extension = '',
  } = options;
  const storage = createMemoryStorage();
  await storage.put(`base.tar${extension}`, compress(encodeTar(backup.base)));
  await storage.put(`${TABLESPACE_OID}.tar${extension}`, compress(encodeTar(backup.tablespace)));
  await storage.put(`pg_wal.tar${extension}`, compress(encodeTar(backup.wal)));
  await storage.put('backup_manifest', encodeManifest(manifestOf, major));
  return storage;
}

export function encodeTar(members: readonly TinyMember[]): Uint8Array {
  return Buffer.concat([...members.flatMap(encodeMember), new Uint8Array(TAR_END_SIZE)]);
}

function encodeMember(member: TinyMember): Uint8Array[] {
  if ('raw' in member) return [member.raw];
  const common = { path: member.path, modifiedAt: NOW, owner: 'postgres' };
  if ('linkTarget' in member)
    return [encodeUstarHeader({ ...common, kind: 'link', linkTarget: member.linkTarget, mode: 0o777 })];
  if ('isDirectory' in member) return [encodeUstarHeader({ ...common, kind: 'directory', mode: 0o700 })];
  const { bytes } = member;
  const header = encodeUstarHeader({ ...common, kind: 'file', sizeBytes: bytes.length, mode: 0o600 });
  return [header, bytes, new Uint8Array(paddingOf(bytes.length))];
}

function encodeManifest(backup: TinyBackup, major: number): Uint8Array {
  const version = manifestVersionOf(major);
  const writer = new BackupManifestWriter(
    version === 1 ? { version } : { version, systemIdentifier: SYSTEM_IDENTIFIER },
  );
  const add = (member: TinyMember, at: string, algorithm: 'CRC32C' | 'SHA256') => {
    if (!('bytes' in member)) return;
    const { bytes } = member;
    const hex =
      algorithm === 'CRC32C'
        ? formatManifestCrc32c(crc32c(bytes))
        : createHash('sha256').update(bytes).digest('hex');
    writer.addFile({
      path: `${at}${member.path}`,
      size: bytes.length,
      modifiedAt: NOW,
      checksum: { algorithm, hex },
    });
  };
  for (const member of backup.base) add(member, '', 'CRC32C');
  for (const member of backup.tablespace) add(member, `pg_tblspc/${TABLESPACE_OID}/`, 'SHA256');
  return writer.finish([{ timeLineId: 1, startLsn: START, endLsn: END }]);
}

function label(): Uint8Array {
  return encodeBackupLabel({
    startWalLocation: START,
    startWalFileName: '000000010000000000000002',
    checkpointLocation: lsn(START + 0x38n),
    backupMethod: 'streamed',
    backupFrom: 'primary',
    startTime: '2026-11-24 12:00:00 UTC',
    label: 'tiny',
    startTimeLineId: 1,
  });
}

function walSegment(major: number): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_SIZE_BYTES);
  encodeWalPageHeader(
    {
      magic: WAL_PAGE_MAGIC[major as keyof typeof WAL_PAGE_MAGIC],
      flags: WAL_PAGE_FLAG.longHeader,
      timeLineId: 1,
      pageAddress: lsn(0x200000n),
      remainingLength: 0,
      segment: { systemIdentifier: SYSTEM_IDENTIFIER, segmentSize: SEGMENT_SIZE_BYTES, blockSize: 8192 },
    },
    bytes,
  );
  return bytes;
}

function controlFile(major: number): ControlFile {
  return stockControlFile({
    major,
    systemIdentifier: SYSTEM_IDENTIFIER,
    checkPointCopy: stockCheckPoint({ major, redo: START, time: 1_790_000_000n }),
    maxPreparedXacts: 7,
    walSegmentSizeBytes: SEGMENT_SIZE_BYTES,
  });
}
