import {
  type ByteRange,
  type GetOptions,
  type GetResult,
  isStorageError,
  resolveRange,
} from '@neon-snapshot/storage-core';
import { expectedChecksum } from './checksum.ts';
import type { S3Context } from './context.ts';
import { headObject } from './head.ts';
import { badReply, type OpenedBody, openBody } from './open-body.ts';
import { resumingBody } from './resuming-body.ts';

/** One object or a range of it; a dropped connection is resumed where it broke. */
export async function getObject(context: S3Context, key: string, options: GetOptions): Promise<GetResult> {
  const { range, signal } = options;
  if (range?.length === 0) return emptyBody(context, key, range, signal);
  let first: OpenedBody;
  try {
    first = await openBody(context, key, { range, signal });
  } catch (error) {
    // 416: beyond the end, which is right for an open range that begins exactly there.
    if (!isStorageError(error, 'STORAGE_TRUNCATED') || range === undefined) throw error;
    return emptyBody(context, key, range, signal);
  }
  const checksum = range === undefined ? expectedChecksum(first.output) : undefined;
  return { info: first.info, body: resumingBody({ context, key, signal, first, checksum }) };
}

/** S3 has no empty ranges: the size decides whether this one lies inside. */
async function emptyBody(
  context: S3Context,
  key: string,
  range: ByteRange,
  signal: AbortSignal | undefined,
): Promise<GetResult> {
  const info = await headObject(context, key, signal, 'get');
  const { offset, end } = resolveRange({ key, range, sizeBytes: info.sizeBytes });
  if (end > offset) throw badReply(context, key, 'the object grew while it was being read');
  return { info, body: (async function* () {})() };
}
