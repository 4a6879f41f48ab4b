import { Readable } from 'node:stream';
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { type ByteRange, type ObjectInfo, resolveRange, StorageError } from '@neon-snapshot/storage-core';
import { plainEtag, type S3Context, target } from './context.ts';
import { customerKeyFields } from './encryption.ts';

/** An open reply of GetObject. */
export interface OpenedBody {
  readonly stream: Readable;
  readonly info: ObjectInfo;
  /** Bytes `[offset, end)` that the stream carries. */
  readonly offset: number;
  readonly end: number;
  readonly output: GetObjectCommandOutput;
}

/** Sends GetObject and checks that the reply is what was asked for. */
export async function openBody(
  context: S3Context,
  key: string,
  options: {
    readonly range: ByteRange | undefined;
    readonly signal: AbortSignal | undefined;
    /** Version that the object must still have. */
    readonly etag?: string | undefined;
  },
): Promise<OpenedBody> {
  const { range, signal, etag } = options;
  const output = await context.requester.send({ operation: 'get', key, signal }, (client, callOptions) =>
    client.send(
      new GetObjectCommand({
        ...target(context, key),
        ...customerKeyFields(context.config.encryption),
        ...(range === undefined ? {} : { Range: rangeHeader(range) }),
        ...(etag === undefined ? {} : { IfMatch: context.dialect.ifMatchQuoted ? `"${etag}"` : etag }),
      }),
      callOptions,
    ),
  );
  context.dialect.bucketSeen = true;
  const stream = output.Body;
  if (!(stream instanceof Readable)) throw badReply(context, key, 'the reply has no body');
  // A connection that breaks before the body is read must not end the process.
  stream.on('error', () => {});
  try {
    return { stream, output, ...describeReply(context, key, range, output) };
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

function describeReply(
  context: S3Context,
  key: string,
  range: ByteRange | undefined,
  output: GetObjectCommandOutput,
): { readonly info: ObjectInfo; readonly offset: number; readonly end: number } {
  const length = output.ContentLength;
  if (length === undefined) throw badReply(context, key, 'the reply does not say its length');
  const covered = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(output.ContentRange ?? '');
  if (range !== undefined && covered === null)
    throw badReply(context, key, 'the server ignored the range and sent something else');
  const sizeBytes = covered === null ? length : Number(covered[3]);
  const wanted = resolveRange({ key, range, sizeBytes });
  if (covered !== null && (Number(covered[1]) !== wanted.offset || Number(covered[2]) + 1 !== wanted.end))
    throw badReply(
      context,
      key,
      `the reply carries bytes ${covered[1]} to ${covered[2]} instead of those asked for`,
    );
  const info: ObjectInfo = {
    key,
    sizeBytes,
    ...plainEtag(output.ETag),
    ...(output.LastModified === undefined ? {} : { modifiedAt: output.LastModified }),
  };
  return { info, ...wanted };
}

function rangeHeader(range: ByteRange): string {
  return `bytes=${range.offset}-${range.length === undefined ? '' : range.offset + range.length - 1}`;
}

export function badReply(context: S3Context, key: string, what: string): StorageError {
  return new StorageError({
    code: 'STORAGE_IO',
    operation: 'get',
    key,
    message: `${context.config.url}/${key}: ${what}`,
  });
}
