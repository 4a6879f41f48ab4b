import { type CompletedPart, CopyObjectCommand, UploadPartCopyCommand } from '@aws-sdk/client-s3';
import type { CallOptions, ObjectInfo, PutResult } from '@neon-snapshot/storage-core';
import type { Write } from './conditions.ts';
import { plainEtag, type S3Context, target } from './context.ts';
import { copySourceKeyFields, customerKeyFields, encryptionFields } from './encryption.ts';
import { headObject } from './head.ts';
import { inUpload, type Upload } from './multipart.ts';
import { TaskGroup } from './task-group.ts';

/** Part size of a large copy: the server moves the bytes, so parts can be large. */
const COPY_PART_SIZE_BYTES = 512 * 2 ** 20;

/** Copies on the server: one CopyObject up to S3's limit of 5 GiB, parts above. */
export async function copyObject(
  context: S3Context,
  from: string,
  to: string,
  options: CallOptions,
): Promise<PutResult> {
  const { signal } = options;
  const source = await headObject(context, from, signal, 'copy');
  const result =
    source.sizeBytes > context.config.copySizeMaxBytes
      ? await copyInParts(context, source, to, signal)
      : await copyWhole(context, source, to, signal);
  return { ...result, sizeBytes: source.sizeBytes };
}

async function copyWhole(
  context: S3Context,
  source: ObjectInfo,
  to: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly etag?: string }> {
  const { encryption } = context.config;
  const copied = await context.requester.send(
    { operation: 'copy', key: source.key, signal },
    (client, options) =>
      client.send(
        new CopyObjectCommand({
          ...target(context, to),
          CopySource: copySource(context, source.key),
          ...encryptionFields(encryption),
          ...copySourceKeyFields(encryption),
        }),
        options,
      ),
  );
  return plainEtag(copied.CopyObjectResult?.ETag);
}

async function copyInParts(
  context: S3Context,
  source: ObjectInfo,
  to: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly etag?: string }> {
  const write: Write = {
    key: to,
    ifNoneMatch: undefined,
    ifMatch: undefined,
    signal,
    writeId: context.newWriteId(),
  };
  const partSizeBytes = Math.min(COPY_PART_SIZE_BYTES, context.config.copySizeMaxBytes);
  return inUpload(context, write, async (upload) => {
    const completed: CompletedPart[] = [];
    await using tasks = new TaskGroup(context.config.concurrency, signal);
    for (let offset = 0, number = 1; offset < source.sizeBytes; offset += partSizeBytes, number++) {
      const end = Math.min(offset + partSizeBytes, source.sizeBytes);
      const part = { number, range: `bytes=${offset}-${end - 1}` };
      await tasks.start(async (taskSignal) => {
        completed.push(await copyPart(context, upload, { source, ...part }, taskSignal));
      });
    }
    await tasks.join();
    return completed;
  });
}

async function copyPart(
  context: S3Context,
  upload: Upload,
  part: { readonly source: ObjectInfo; readonly number: number; readonly range: string },
  signal: AbortSignal,
): Promise<CompletedPart> {
  const { source, number, range } = part;
  const { encryption } = context.config;
  const copied = await context.requester.send(
    { operation: 'copy', key: source.key, signal },
    (client, options) =>
      client.send(
        new UploadPartCopyCommand({
          ...target(context, upload.write.key),
          UploadId: upload.uploadId,
          PartNumber: number,
          CopySource: copySource(context, source.key),
          CopySourceRange: range,
          // All parts must come from one version of the source.
          ...(source.etag === undefined ? {} : { CopySourceIfMatch: source.etag }),
          ...customerKeyFields(encryption),
          ...copySourceKeyFields(encryption),
        }),
        options,
      ),
  );
  return { PartNumber: number, ETag: copied.CopyPartResult?.ETag };
}

function copySource(context: S3Context, key: string): string {
  const { Bucket, Key } = target(context, key);
  return `${Bucket}/${Key.split('/').map(encodeURIComponent).join('/')}`;
}
