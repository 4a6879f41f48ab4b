import { slruBlockKey, type TimelineReader } from '@neon-snapshot/neon-layer';
import type { TimelineContents } from '@neon-snapshot/neon-timeline';
import { BLCKSZ, formatSlruPath } from '@neon-snapshot/postgres';
import { PageServerError } from '../page-server-error.ts';
import { type BackupMember, file } from './fixed-files.ts';

/** Segments of the commit log and of multixacts: at most 256 KiB each. */
export async function* slruMembers(
  segments: TimelineContents['slruSegments'],
  options: { readonly reader: TimelineReader; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<BackupMember, void, void> {
  for (const { slru, segno, blockCount } of segments) {
    const keys = Array.from({ length: blockCount }, (_, block) => slruBlockKey(slru, segno, block));
    const pages = await options.reader.getMany(keys, { signal: options.signal });
    const bytes = new Uint8Array(blockCount * BLCKSZ);
    for (const [block, page] of pages.entries()) {
      if (page === undefined) throw noPage(formatSlruPath(slru, segno), block);
      // A clog page may carry a time of commit behind its 8192 bytes.
      bytes.set(page.subarray(0, BLCKSZ), block * BLCKSZ);
    }
    yield file(formatSlruPath(slru, segno), bytes);
  }
}

function noPage(path: string, block: number): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_STATE',
    operation: 'backup',
    message: `page ${block} of ${path} has no value, though the segment is larger`,
    context: { path, block },
  });
}
