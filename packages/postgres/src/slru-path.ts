/** Files of the SLRUs that outlive a restart and that Neon stores: 32 pages of 8192 bytes each, names in hex. Source: slru.c. */
import { PostgresFormatError } from './postgres-format-error.ts';

export type SlruKind = 'clog' | 'multixact_members' | 'multixact_offsets';

export interface SlruFile {
  readonly kind: SlruKind;
  readonly segno: number;
}

/** `SLRU_PAGES_PER_SEGMENT` of slru.h. */
export const SLRU_PAGES_PER_SEGMENT = 32;

/** Six hex digits are the most that slru.c makes with short names. */
const SEGNO_MAX = 0xff_ffff;
const DIRECTORY: Readonly<Record<SlruKind, string>> = {
  clog: 'pg_xact',
  multixact_members: 'pg_multixact/members',
  multixact_offsets: 'pg_multixact/offsets',
};
const KINDS: readonly SlruKind[] = ['clog', 'multixact_members', 'multixact_offsets'];
const SEGMENT_NAME = /^(?:[0-9A-F]{4}|[1-9A-F][0-9A-F]{4,5})$/;

/** Parses a PGDATA-relative path such as `pg_xact/0000`; `undefined` for other files. */
export function parseSlruPath(path: string): SlruFile | undefined {
  const slash = path.lastIndexOf('/');
  const kind = KINDS.find((candidate) => DIRECTORY[candidate] === path.slice(0, Math.max(slash, 0)));
  const name = path.slice(slash + 1);
  if (kind === undefined || !SEGMENT_NAME.test(name)) return undefined;
  return { kind, segno: Number.parseInt(name, 16) };
}

/** The PGDATA-relative path of a segment; the inverse of {@link parseSlruPath}. */
export function formatSlruPath(kind: SlruKind, segno: number): string {
  if (!Number.isInteger(segno) || segno < 0 || segno > SEGNO_MAX) {
    throw new PostgresFormatError({
      code: 'POSTGRES_OUT_OF_RANGE',
      operation: 'format SLRU path',
      message: `Segment ${segno} of ${DIRECTORY[kind]} is outside 0..${SEGNO_MAX}`,
      context: { kind, segno },
    });
  }
  return `${DIRECTORY[kind]}/${segno.toString(16).toUpperCase().padStart(4, '0')}`;
}
