/*
 * All WAL of clusters whose base a real page server imported. It lies beside the repository on machines that have it; on CI
 * it must be there.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { zstdDecompressSync } from 'node:zlib';
import {
  type Lsn,
  lsn,
  readWalRecords,
  WAL_SEGMENT_SIZE_DEFAULT,
  type WalRecord,
} from '@neon-snapshot/postgres';

const SAMPLES_DIRECTORY = fileURLToPath(new URL('../../../../../shared/data/neon/', import.meta.url));
/** Whether tests on the samples run. */
export const HAS_SAMPLES: boolean = existsSync(SAMPLES_DIRECTORY) || process.env.CI === 'true';
/** Stands in the name of a skipped suite. */
export const SAMPLES_NOTE: string = HAS_SAMPLES ? '' : ' [skipped: ../shared/data/neon is not there]';

export function sampleDirectory(name: string): string {
  return `${SAMPLES_DIRECTORY}${name}/`;
}

/** A run of WAL as a walsender sends it, and the records in it as `readWalRecords` reads them. */
export interface WalStream {
  readonly major: number;
  readonly segmentSize: number;
  /** Of the first byte: the start of a segment. */
  readonly start: Lsn;
  readonly bytes: Uint8Array;
  readonly records: readonly WalRecord[];
}

/** The WAL of sample `pg16` or `pg17`, from its first segment to the end of its last record. */
export function sampleWal(name: string): WalStream {
  const directory = `${sampleDirectory(name)}source/wal/`;
  const segments = readdirSync(directory).sort();
  const bytes = Buffer.concat(segments.map((file) => zstdDecompressSync(readFileSync(directory + file))));
  return walStream({ major: Number(name.slice(2)), start: lsn(BigInt(WAL_SEGMENT_SIZE_DEFAULT)), bytes });
}

/** Whole segments of 16 MiB, cut where their WAL ends. */
function walStream(of: {
  readonly major: number;
  readonly start: Lsn;
  readonly bytes: Uint8Array;
}): WalStream {
  const { major, start } = of;
  const segmentSize = WAL_SEGMENT_SIZE_DEFAULT;
  const all = Uint8Array.from(of.bytes);
  const first = Number(start) / segmentSize;
  const segment = (segno: number) => {
    const part = all.subarray((segno - first) * segmentSize, (segno - first + 1) * segmentSize);
    return part.length === 0 ? undefined : part;
  };
  const records = [...readWalRecords({ major, segmentSize, segment, start })];
  const end = records.at(-1)?.end ?? start;
  return { major, segmentSize, start, bytes: all.subarray(0, Number(end - start)), records };
}
