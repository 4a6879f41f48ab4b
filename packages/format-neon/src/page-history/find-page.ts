/** Whether a timeline has a relation and a block of it at an LSN. */
import { FormatError, type FormatErrorCode } from '@neon-snapshot/format-core';
import {
  decodeRelDirectory,
  decodeSizeValue,
  relDirKey,
  relDirV2Key,
  relSizeKey,
  type TimelineReader,
} from '@neon-snapshot/neon-layer';
import { usesNewRelationDirectory } from '@neon-snapshot/neon-timeline';
import { formatLsn, type RelTag } from '@neon-snapshot/postgres';

export interface PagePlace {
  readonly tag: RelTag;
  readonly blockNumber: number;
}

/** Blocks of the relation. Throws `FORMAT_NOT_FOUND` where it, or the block, is not there. */
export async function relationBlocks(
  view: TimelineReader,
  { signal, ...place }: PagePlace & { readonly signal: AbortSignal | undefined },
): Promise<number> {
  const { tag, blockNumber } = place;
  const at = formatLsn(view.lsn);
  const isListed = await isRelationListed(view, tag, signal);
  const size = isListed ? await view.get(relSizeKey(tag), { signal }) : undefined;
  if (size === undefined)
    throw historyError('FORMAT_NOT_FOUND', place, `the timeline has no such relation at ${at}`);
  const blocks = decodeSizeValue(size);
  if (blockNumber < blocks) return blocks;
  const range = blocks === 0 ? '' : `, numbered 0 to ${blocks - 1}`;
  throw historyError('FORMAT_NOT_FOUND', place, `the relation has ${blocks} blocks at ${at}${range}`);
}

async function isRelationListed(
  view: TimelineReader,
  tag: RelTag,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (usesNewRelationDirectory(view)) {
    const entry = await view.get(relDirV2Key(tag), { signal });
    return entry !== undefined && entry.length > 0;
  }
  const directory = await view.get(relDirKey(tag.spcNode, tag.dbNode), { signal });
  if (directory === undefined) return false;
  const { relNode, forkNum } = tag;
  return decodeRelDirectory(directory).some((each) => each.relNode === relNode && each.forkNum === forkNum);
}

export function historyError(code: FormatErrorCode, place: PagePlace, problem: string): FormatError {
  const { spcNode, dbNode, relNode, forkNum } = place.tag;
  const { blockNumber } = place;
  return new FormatError({
    code,
    operation: 'read page history',
    message: `block ${blockNumber} of ${spcNode}/${dbNode}/${relNode} fork ${forkNum}: ${problem}`,
    context: { spcNode, dbNode, relNode, forkNum, blockNumber },
  });
}
