/**
 * What lies in the storage:
 *
 *     files/<path>      one object a file, byte for byte
 *     snapshot.json     facts, the list of files with sizes and CRC-32C, pg_control; put last: with it the snapshot exists
 */
import { FormatError, type SnapshotInfo } from '@neon-snapshot/format-core';
import { formatLsn, parseLsn } from '@neon-snapshot/postgres';
import { isStorageError, readAll, type Storage } from '@neon-snapshot/storage-core';

export const INDEX_KEY = 'snapshot.json';
const INDEX_BYTES_MAX = 64 * 1024 * 1024;
const VERSION = 1;

export interface StoredFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly crc32c: number;
}

export interface StoredSnapshot {
  readonly info: SnapshotInfo;
  readonly directories: readonly string[];
  readonly files: readonly StoredFile[];
  /** The 8192 bytes of `global/pg_control`. */
  readonly controlFile: Uint8Array;
}

export function fileKey(path: string): string {
  return `files/${path}`;
}

export function encodeSnapshot({ info, directories, files, controlFile }: StoredSnapshot): Uint8Array {
  const json = {
    version: VERSION,
    system_identifier: info.systemIdentifier.toString(),
    postgres_major: info.postgresMajor,
    catalog_version: info.catalogVersion,
    lsn: formatLsn(info.lsn),
    previous_record_lsn: info.previousRecordLsn === undefined ? null : formatLsn(info.previousRecordLsn),
    timeline_id: info.timeLineId,
    data_checksums: info.dataChecksums,
    wal_segment_size_bytes: info.walSegmentSizeBytes,
    block_size_bytes: info.blockSizeBytes,
    directories,
    files,
    control_file: Buffer.from(controlFile).toString('base64'),
  };
  return new TextEncoder().encode(JSON.stringify(json));
}

/** Throws `FORMAT_NOT_FOUND`, `FORMAT_INVALID`, `FORMAT_UNKNOWN_VERSION`. */
export async function readSnapshot(
  storage: Storage,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<StoredSnapshot> {
  const bytes = await readIndex(storage, options);
  let json: Partial<Record<string, unknown>>;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as typeof json;
  } catch (cause) {
    throw invalid(storage, 'is no JSON', cause);
  }
  if (json.version !== VERSION) throw unknownVersion(storage, json.version);
  try {
    return decode(json);
  } catch (cause) {
    throw invalid(storage, 'has a field that is missing or wrong', cause);
  }
}

async function readIndex(
  storage: Storage,
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  try {
    const { body } = await storage.get(INDEX_KEY, { signal });
    return await readAll(body, { sizeMaxBytes: INDEX_BYTES_MAX, key: INDEX_KEY });
  } catch (error) {
    if (!isStorageError(error, 'STORAGE_NOT_FOUND')) throw error;
    throw new FormatError({
      code: 'FORMAT_NOT_FOUND',
      operation: 'open',
      message: `there is no ${INDEX_KEY} in ${storage.url}`,
      cause: error,
    });
  }
}

function decode(json: Partial<Record<string, unknown>>): StoredSnapshot {
  const controlFile = Uint8Array.from(Buffer.from(text(json.control_file), 'base64'));
  return {
    info: {
      systemIdentifier: BigInt(text(json.system_identifier)),
      postgresMajor: count(json.postgres_major),
      catalogVersion: count(json.catalog_version),
      lsn: parseLsn(text(json.lsn)),
      ...(json.previous_record_lsn === null
        ? {}
        : { previousRecordLsn: parseLsn(text(json.previous_record_lsn)) }),
      timeLineId: count(json.timeline_id),
      dataChecksums: json.data_checksums === true,
      consistency: { kind: 'consistent' },
      walSegmentSizeBytes: count(json.wal_segment_size_bytes),
      blockSizeBytes: count(json.block_size_bytes),
      tablespaces: [],
      features: { replicationSlots: [], commitTimestamps: false, statistics: false },
    },
    directories: list(json.directories).map(text),
    files: list(json.files).map((each) => {
      const { path, sizeBytes, crc32c } = Object(each) as Partial<Record<string, unknown>>;
      return { path: text(path), sizeBytes: count(sizeBytes), crc32c: count(crc32c) };
    }),
    controlFile,
  };
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('expected text');
  return value;
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new TypeError('expected a whole number');
  return value;
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError('expected a list');
  return value;
}

function invalid(storage: Storage, what: string, cause: unknown): FormatError {
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'read index',
    message: `${INDEX_KEY} in ${storage.url} ${what}`,
    cause,
  });
}

function unknownVersion(storage: Storage, found: unknown): FormatError {
  return new FormatError({
    code: 'FORMAT_UNKNOWN_VERSION',
    operation: 'read index',
    message: `${INDEX_KEY} in ${storage.url} has version ${String(found)}; this program knows ${VERSION}`,
  });
}
