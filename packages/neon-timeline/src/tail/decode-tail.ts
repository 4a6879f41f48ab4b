import { CONTROL_FILE_KEY, type TimelineView } from '@neon-snapshot/neon-layer';
import { decodeControlFile, WAL_SEGMENT_SIZE_DEFAULT } from '@neon-snapshot/postgres';
import { WalStreamDecoder } from '../wal/wal-stream-decoder.ts';
import type { Tail } from './load-tail.ts';

/** A decoder that was given the tail of a timeline from the end of its layers on; `base` is the timeline there. */
export async function decodeTail(base: TimelineView, tail: Tail): Promise<WalStreamDecoder> {
  const { postgresMajor: major, prevRecordLsn } = base.source.index.metadata;
  const stored = await base.get(CONTROL_FILE_KEY);
  const control = stored === undefined ? undefined : decodeControlFile(stored);
  const decoder = new WalStreamDecoder({
    major,
    systemIdentifier: control?.systemIdentifier,
    segmentSize: control?.walSegmentSizeBytes ?? WAL_SEGMENT_SIZE_DEFAULT,
    start: base.lsn,
    previousRecord: prevRecordLsn,
  });
  let skipped = Number(base.lsn - tail.start);
  for (const piece of tail.pieces) {
    const known = Math.min(skipped, piece.length);
    skipped -= known;
    decoder.push(piece.subarray(known));
  }
  return decoder;
}
