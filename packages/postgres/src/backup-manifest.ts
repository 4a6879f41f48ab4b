/**
 * `backup_manifest` (backup_manifest.c, parse_manifest.c): JSON in fixed lines, ended by a SHA-256 of all before it.
 * Version 1 up to major 16; version 2, with the system identifier, from 17 on.
 */
import { createHash } from 'node:crypto';
import { formatLsn, type Lsn, parseLsn } from './lsn.ts';
import { PostgresFormatError, type PostgresFormatErrorCode } from './postgres-format-error.ts';

export type ManifestVersion = 1 | 2;
export type ManifestChecksumAlgorithm = 'CRC32C' | 'SHA224' | 'SHA256' | 'SHA384' | 'SHA512';

export interface ManifestChecksum {
  readonly algorithm: ManifestChecksumAlgorithm;
  /** Lower-case hex; of a CRC-32C the four bytes in little-endian order: {@link formatManifestCrc32c}. */
  readonly hex: string;
}

export interface ManifestFile {
  /** PGDATA-relative; files of a tablespace as `pg_tblspc/OID/PG_…`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Written in whole seconds. */
  readonly modifiedAt: Date;
  readonly checksum?: ManifestChecksum;
}

/** WAL that has to be replayed before the backup is consistent. */
export interface ManifestWalRange {
  readonly timeLineId: number;
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
}

export interface BackupManifestWriterOptions {
  readonly version: ManifestVersion;
  /** Needed for version 2, not allowed in version 1. */
  readonly systemIdentifier?: bigint;
}

const CHECKSUM_TOKEN = '"Manifest-Checksum"';
const ENCODER = new TextEncoder();

/** Version of the manifest that a major's server writes. */
export function manifestVersionOf(major: number): ManifestVersion {
  return major >= 17 ? 2 : 1;
}

/** A CRC-32C as manifests print it: 0xBB608122 is `228160bb`. */
export function formatManifestCrc32c(crc: number): string {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, crc, true);
  return Buffer.from(bytes).toString('hex');
}

/** Collects lines as files become known; byte-equal to the server's text for the same facts. About 150 bytes a file are kept. */
export class BackupManifestWriter {
  readonly #head: string;
  readonly #lines: string[] = [];

  constructor(options: BackupManifestWriterOptions) {
    const { version, systemIdentifier } = options;
    if ((version === 2) !== (systemIdentifier !== undefined)) {
      throw manifestError(
        'POSTGRES_OUT_OF_RANGE',
        'write',
        'a system identifier belongs to version 2 and only there',
      );
    }
    const identifier = systemIdentifier === undefined ? '' : `"System-Identifier": ${systemIdentifier},\n`;
    this.#head = `{ "PostgreSQL-Backup-Manifest-Version": ${version},\n${identifier}"Files": [`;
  }

  /** Throws `POSTGRES_OUT_OF_RANGE` for a size, a date or a checksum that cannot be written. */
  addFile(file: ManifestFile): void {
    const { path, size, modifiedAt, checksum } = file;
    if (!Number.isSafeInteger(size) || size < 0 || path === '' || Number.isNaN(modifiedAt.getTime())) {
      throw manifestError('POSTGRES_OUT_OF_RANGE', 'write', `file ${JSON.stringify(path)} of ${size} bytes`);
    }
    const fields = [
      `"Path": ${JSON.stringify(path)}`,
      `"Size": ${size}`,
      `"Last-Modified": "${modifiedAt.toISOString().slice(0, 19).replace('T', ' ')} GMT"`,
    ];
    if (checksum !== undefined) {
      if (!/^(?:[0-9a-f]{2})+$/.test(checksum.hex)) {
        throw manifestError(
          'POSTGRES_OUT_OF_RANGE',
          'write',
          `checksum ${JSON.stringify(checksum.hex)} of ${path}`,
        );
      }
      fields.push(`"Checksum-Algorithm": "${checksum.algorithm}"`, `"Checksum": "${checksum.hex}"`);
    }
    this.#lines.push(`{ ${fields.join(', ')} }`);
  }

  /** The whole manifest; `walRanges` newest timeline first. */
  finish(walRanges: readonly ManifestWalRange[]): Uint8Array {
    const files = this.#lines.map((line, index) => `${index === 0 ? '' : ','}\n${line}`).join('');
    const ranges = walRanges.map(
      ({ timeLineId, startLsn, endLsn }, index) =>
        `${index === 0 ? '' : ',\n'}{ "Timeline": ${timeLineId}, "Start-LSN": "${formatLsn(startLsn)}", "End-LSN": "${formatLsn(endLsn)}" }`,
    );
    const body = `${this.#head}${files}\n],\n"WAL-Ranges": [\n${ranges.join('')}\n],\n`;
    const checksum = createHash('sha256').update(body).digest('hex');
    return ENCODER.encode(`${body}${CHECKSUM_TOKEN}: "${checksum}"}\n`);
  }
}

export interface BackupManifest {
  readonly version: ManifestVersion;
  /** In version 2. */
  readonly systemIdentifier?: bigint;
  readonly files: readonly ManifestFile[];
  readonly walRanges: readonly ManifestWalRange[];
}

/** Larger manifests are refused: this is enough for about 1.5 million files. */
export const MANIFEST_SIZE_MAX = 256 * 1024 * 1024;

/** Checks the manifest's own checksum and parses it; throws `POSTGRES_CHECKSUM`, `POSTGRES_INVALID`, `POSTGRES_UNSUPPORTED_VERSION`. */
export function parseBackupManifest(bytes: Uint8Array): BackupManifest {
  if (bytes.length > MANIFEST_SIZE_MAX) {
    throw manifestError(
      'POSTGRES_OUT_OF_RANGE',
      'parse',
      `${bytes.length} bytes; at most ${MANIFEST_SIZE_MAX}`,
    );
  }
  const text = new TextDecoder().decode(bytes);
  const manifest = asObject(parseJson(text), 'manifest');
  assertChecksum(bytes, manifest['Manifest-Checksum']);
  const version = manifest['PostgreSQL-Backup-Manifest-Version'];
  if (version !== 1 && version !== 2) {
    throw manifestError(
      'POSTGRES_UNSUPPORTED_VERSION',
      'parse',
      `version ${String(version)}; supported: 1, 2`,
    );
  }
  // A JSON number loses digits above 2^53. Quotes inside strings are escaped, so this is the key itself.
  const identifier = /"System-Identifier"\s*:\s*(\d{1,20})\b/.exec(text)?.[1];
  const isU64 = identifier === undefined || BigInt(identifier) < 1n << 64n;
  if (!isU64 || (version === 2) !== (identifier !== undefined)) throw invalid('System-Identifier');
  return {
    version,
    ...(identifier === undefined ? {} : { systemIdentifier: BigInt(identifier) }),
    files: asArray(manifest.Files, 'Files').map(parseFile),
    walRanges: asArray(manifest['WAL-Ranges'] ?? [], 'WAL-Ranges').map(parseWalRange),
  };
}

function assertChecksum(bytes: Uint8Array, stored: unknown): void {
  const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).lastIndexOf(CHECKSUM_TOKEN);
  if (typeof stored !== 'string' || end < 0) throw invalid('Manifest-Checksum');
  const computed = createHash('sha256').update(bytes.subarray(0, end)).digest('hex');
  if (computed === stored) return;
  throw manifestError('POSTGRES_CHECKSUM', 'parse', `checksum is ${stored}, computed ${computed}`);
}

function parseFile(value: unknown): ManifestFile {
  const file = asObject(value, 'file');
  const { Size: size, 'Last-Modified': modified, 'Checksum-Algorithm': algorithm, Checksum: hex } = file;
  const path = file.Path ?? decodePath(file['Encoded-Path']);
  if (typeof path !== 'string' || path === '') throw invalid('Path');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw invalid(`Size of ${path}`);
  const modifiedAt = parseTime(modified);
  if (modifiedAt === undefined) throw invalid(`Last-Modified of ${path}`);
  if (algorithm === undefined && hex === undefined) return { path, size, modifiedAt };
  if (!isAlgorithm(algorithm) || typeof hex !== 'string' || !/^(?:[0-9a-f]{2})+$/.test(hex)) {
    throw invalid(`Checksum of ${path}`);
  }
  return { path, size, modifiedAt, checksum: { algorithm, hex } };
}

function parseWalRange(value: unknown): ManifestWalRange {
  const { Timeline: timeLineId, 'Start-LSN': start, 'End-LSN': end } = asObject(value, 'WAL range');
  if (typeof timeLineId !== 'number' || !Number.isInteger(timeLineId) || timeLineId < 1)
    throw invalid('Timeline');
  if (typeof start !== 'string' || typeof end !== 'string') throw invalid('Start-LSN or End-LSN');
  return { timeLineId, startLsn: parseLsn(start), endLsn: parseLsn(end) };
}

function isAlgorithm(value: unknown): value is ManifestChecksumAlgorithm {
  return typeof value === 'string' && /^(?:CRC32C|SHA224|SHA256|SHA384|SHA512)$/.test(value);
}

function parseTime(value: unknown): Date | undefined {
  if (typeof value !== 'string') return undefined;
  const [, day, time] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) GMT$/.exec(value) ?? [];
  const date = new Date(`${day}T${time}Z`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** `Encoded-Path`: hex of the name's bytes, which have to be UTF-8 here. */
function decodePath(value: unknown): string | undefined {
  if (typeof value !== 'string' || !/^(?:[0-9a-f]{2})+$/i.test(value)) return undefined;
  const bytes = Buffer.from(value, 'hex');
  const path = bytes.toString('utf8');
  return Buffer.from(path, 'utf8').equals(bytes) ? path : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw manifestError('POSTGRES_INVALID', 'parse', 'not valid JSON', cause);
  }
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(what);
  return value as Readonly<Record<string, unknown>>;
}

function asArray(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(what);
  return value;
}

function invalid(what: string): PostgresFormatError {
  return manifestError('POSTGRES_INVALID', 'parse', `${what} is missing or not valid`);
}

function manifestError(
  code: PostgresFormatErrorCode,
  action: 'parse' | 'write',
  problem: string,
  cause?: unknown,
): PostgresFormatError {
  const operation = `${action} backup_manifest`;
  return new PostgresFormatError({ code, operation, message: `backup_manifest: ${problem}`, cause });
}
