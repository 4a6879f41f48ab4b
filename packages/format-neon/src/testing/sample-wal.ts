import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { parseLsn, readWalRecords, type WalRecord, walSegmentFileName } from '@neon-snapshot/postgres';
import { SAMPLES_DIRECTORY, sampleFacts } from './neon-samples.ts';

const SEGMENT_SIZE = 16 * 1024 * 1024;

/** All records that a sample's timeline `main` was made from, from its base on. */
export function sampleWal(name: string): Generator<WalRecord> {
  const { major, phases } = sampleFacts(name);
  const [start, end] = [phases[0], phases.at(-1)].map((phase) => parseLsn(phase?.lsn ?? ''));
  if (start === undefined || end === undefined) throw new Error(`${name} has no phases`);
  const segment = (segno: number): Uint8Array | undefined => {
    const fileName = walSegmentFileName(1, segno, SEGMENT_SIZE);
    const path = join(SAMPLES_DIRECTORY, name, 'source/wal', `${fileName}.zst`);
    return existsSync(path) ? zstdDecompressSync(readFileSync(path)) : undefined;
  };
  return readWalRecords({ major, segmentSize: SEGMENT_SIZE, segment, start, end });
}
