import { PqError } from '../pq-error.ts';

export type ServerCompression = 'gzip' | 'lz4' | 'zstd';

export interface BaseBackupOptions {
  /** At most 1,024 bytes, no line break. Default `neon-snapshot`. */
  readonly label?: string;
  /** Default `spread`, as the server's own. */
  readonly checkpoint?: 'fast' | 'spread';
  /** Estimate sizes of tablespaces first. Default false. */
  readonly progress?: boolean;
  /** Put the WAL needed into the base archive. Default false: it is to be streamed alongside. */
  readonly wal?: boolean;
  /** Wait until the WAL needed is archived. Default true. */
  readonly wait?: boolean;
  /** kB/s, 32 to 1,048,576. Default: no limit. */
  readonly maxRateKiB?: number;
  /** Write `tablespace_map` in place of symbolic links. Default true. */
  readonly tablespaceMap?: boolean;
  /** Default true, where the cluster has checksums. */
  readonly verifyChecksums?: boolean;
  /** Default `yes`. */
  readonly manifest?: 'yes' | 'no' | 'force-encode';
  /** Default `CRC32C`. */
  readonly manifestChecksums?: 'NONE' | 'CRC32C' | 'SHA224' | 'SHA256' | 'SHA384' | 'SHA512';
  /** The server compresses each archive; from 15. */
  readonly compression?: ServerCompression;
  /** `level=N` and the like; from 15. */
  readonly compressionDetail?: string;
  /** Manifest of the backup that this one is incremental to; from 17. */
  readonly incrementalTo?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Bytes of all archives so far, where the server says so (from 15). */
  readonly onProgress?: (bytes: bigint) => void;
  /** Ends the connection. */
  readonly signal?: AbortSignal | undefined;
}

const OPERATION = 'base backup';
const LABEL_BYTES_MAX = 1024;

/** The BASE_BACKUP command in the syntax of the major. Throws `PQ_UNSUPPORTED` for what the major lacks. */
export function baseBackupCommand(options: BaseBackupOptions, major: number): string {
  checkOptions(options, major);
  return major >= 15 ? parenthesised(options) : keywords(options);
}

/** 15 and newer: `BASE_BACKUP (NAME value, …)`. */
function parenthesised(options: BaseBackupOptions): string {
  const list = [
    `LABEL ${quote(labelOf(options))}`,
    `CHECKPOINT ${quote(options.checkpoint ?? 'spread')}`,
    `PROGRESS ${options.progress ?? false}`,
    `WAL ${options.wal ?? false}`,
    `WAIT ${options.wait ?? true}`,
    ...(options.maxRateKiB === undefined ? [] : [`MAX_RATE ${options.maxRateKiB}`]),
    `TABLESPACE_MAP ${options.tablespaceMap ?? true}`,
    `VERIFY_CHECKSUMS ${options.verifyChecksums ?? true}`,
    `MANIFEST ${quote(options.manifest ?? 'yes')}`,
    ...(options.manifest === 'no'
      ? []
      : [`MANIFEST_CHECKSUMS ${quote(options.manifestChecksums ?? 'CRC32C')}`]),
    ...(options.compression === undefined ? [] : [`COMPRESSION ${quote(options.compression)}`]),
    ...(options.compressionDetail === undefined
      ? []
      : [`COMPRESSION_DETAIL ${quote(options.compressionDetail)}`]),
    ...(options.incrementalTo === undefined ? [] : ['INCREMENTAL']),
  ];
  return `BASE_BACKUP (${list.join(', ')})`;
}

/** 14: keywords. */
function keywords(options: BaseBackupOptions): string {
  return [
    'BASE_BACKUP',
    `LABEL ${quote(labelOf(options))}`,
    ...(options.progress ? ['PROGRESS'] : []),
    ...(options.checkpoint === 'fast' ? ['FAST'] : []),
    ...(options.wal ? ['WAL'] : []),
    ...((options.wait ?? true) ? [] : ['NOWAIT']),
    ...(options.maxRateKiB === undefined ? [] : [`MAX_RATE ${options.maxRateKiB}`]),
    ...((options.tablespaceMap ?? true) ? ['TABLESPACE_MAP'] : []),
    ...((options.verifyChecksums ?? true) ? [] : ['NOVERIFY_CHECKSUMS']),
    `MANIFEST ${quote(options.manifest ?? 'yes')}`,
    ...(options.manifest === 'no'
      ? []
      : [`MANIFEST_CHECKSUMS ${quote(options.manifestChecksums ?? 'CRC32C')}`]),
  ].join(' ');
}

function checkOptions(options: BaseBackupOptions, major: number): void {
  if (options.compression !== undefined && major < 15)
    throw error('PQ_UNSUPPORTED', `Postgres ${major} compresses no base backup; that came with 15`);
  if (options.incrementalTo !== undefined && major < 17)
    throw error('PQ_UNSUPPORTED', `Postgres ${major} makes no incremental backup; that came with 17`);
  const label = labelOf(options);
  if (/[\0\r\n]/.test(label) || Buffer.byteLength(label) > LABEL_BYTES_MAX)
    throw error('PQ_INVALID_ARGUMENT', `a label has no line break and at most ${LABEL_BYTES_MAX} bytes`);
  const rate = options.maxRateKiB;
  if (rate !== undefined && (!Number.isInteger(rate) || rate < 32 || rate > 1_048_576))
    throw error('PQ_INVALID_ARGUMENT', `maxRateKiB is ${rate}; expected an integer of 32 to 1048576`);
}

function labelOf(options: BaseBackupOptions): string {
  return options.label ?? 'neon-snapshot';
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function error(code: 'PQ_UNSUPPORTED' | 'PQ_INVALID_ARGUMENT', message: string): PqError {
  return new PqError({ code, operation: OPERATION, message });
}
