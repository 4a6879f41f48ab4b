import type { CompressionKind } from '@neon-snapshot/archive';
import { FormatError, type FormatOptionDescription } from '@neon-snapshot/format-core';

export const READ_OPTIONS: readonly FormatOptionDescription[] = [
  {
    name: 'parents',
    type: 'list',
    description: 'of an incremental backup: the backups that it goes on from, the full one first',
  },
  {
    name: 'scratch_directory',
    type: 'string',
    description:
      'where compressed parents are unpacked for the time of the reading (default the temporary directory)',
  },
];

export const LIVE_OPTIONS: readonly FormatOptionDescription[] = [
  {
    name: 'checkpoint',
    type: 'string',
    description: 'how the server gets to the start of the backup: fast, or spread over time (default fast)',
  },
  {
    name: 'label',
    type: 'string',
    description: 'LABEL of backup_label, at most 1024 bytes (default neon-snapshot)',
  },
  {
    name: 'slot',
    type: 'string',
    description:
      'physical replication slot that keeps the WAL, and stays when the backup is through; made where it is missing (default a temporary one)',
  },
];

export const WRITE_OPTIONS: readonly FormatOptionDescription[] = [
  {
    name: 'compression',
    type: 'string',
    description: 'METHOD or METHOD:LEVEL; methods: none, gzip, lz4, zstd (default zstd:1)',
  },
];

/** How the tars are compressed. */
export interface Compression {
  /** Undefined: not at all. */
  readonly kind: CompressionKind | undefined;
  readonly level: number | undefined;
}

const DEFAULT_COMPRESSION = 'zstd:1';
const LEVELS = { gzip: [1, 9], lz4: undefined, zstd: [-7, 22] } as const;

/** Parses `zstd:1` as pg_basebackup's `--compress` takes it; `FORMAT_OPTION`. */
export function parseCompression(text: string = DEFAULT_COMPRESSION): Compression {
  const [, method, levelText] = /^([a-z0-9]+)(?::(-?\d{1,2}))?$/.exec(text) ?? [];
  const level = levelText === undefined ? undefined : Number(levelText);
  if (method === 'none' && level === undefined) return { kind: undefined, level };
  if (method !== 'gzip' && method !== 'lz4' && method !== 'zstd') {
    throw compressionError(text, 'none, gzip, lz4 or zstd, with a level if wanted: zstd:1');
  }
  const range = LEVELS[method];
  if (level === undefined) return { kind: method, level };
  if (range === undefined) throw compressionError(text, 'lz4 without a level');
  if (level >= range[0] && level <= range[1]) return { kind: method, level };
  throw compressionError(text, `a level of ${range[0]} to ${range[1]}`);
}

function compressionError(text: string, expected: string): FormatError {
  return new FormatError({
    code: 'FORMAT_OPTION',
    operation: 'read options',
    message: `compression=${text}: expected ${expected}`,
    context: { option: 'compression' },
  });
}
