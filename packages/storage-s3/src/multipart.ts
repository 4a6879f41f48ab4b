import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type PutResult, StorageError } from '@neon-snapshot/storage-core';
import { checksumAlgorithm, checksumFields } from './checksum.ts';
import { commitWrite, refuseKnownConflict, type Write, writeIdFields } from './conditions.ts';
import { type S3Context, target } from './context.ts';
import { customerKeyFields, encryptionFields } from './encryption.ts';
import type { Part } from './read-parts.ts';
import { TaskGroup } from './task-group.ts';

/** An abort is sent even after the caller gave up, but not for long. */
const ABORT_TIMEOUT_MS = 15_000;

export interface Upload {
  readonly write: Write;
  readonly uploadId: string;
}

/** Uploads the parts, several in flight, and completes. On any failure the upload is aborted and nothing is visible. */
export async function putMultipart(
  context: S3Context,
  write: Write,
  first: Part,
  rest: AsyncIterable<Part> | Iterable<Part>,
): Promise<PutResult> {
  await refuseKnownConflict(context, write);
  let sizeBytes = 0;
  const result = await inUpload(context, write, async (upload) => {
    const completed: CompletedPart[] = [];
    await using tasks = new TaskGroup(context.config.concurrency, write.signal);
    const start = async (part: Part) => {
      sizeBytes += part.bytes.byteLength;
      await tasks.start(async (signal) => {
        completed.push(await context.memory.upload(() => uploadPart(context, upload, part, signal)));
        part.release();
      });
    };
    await start(first);
    for await (const part of rest) await start(part);
    await tasks.join();
    return completed;
  });
  return { ...result, sizeBytes };
}

/** Creates an upload, lets `fill` give it its parts, and completes it. */
export async function inUpload(
  context: S3Context,
  write: Write,
  fill: (upload: Upload) => Promise<readonly CompletedPart[]>,
): Promise<{ readonly etag?: string }> {
  const upload = await createUpload(context, write);
  try {
    const parts = await fill(upload);
    await refuseKnownConflict(context, write);
    return await complete(context, upload, parts);
  } catch (error) {
    await abort(context, upload);
    throw error;
  }
}

async function createUpload(context: S3Context, write: Write): Promise<Upload> {
  const { config, requester } = context;
  const { key, signal } = write;
  const created = await requester.send({ operation: 'put', key, signal }, (client, options) =>
    client.send(
      new CreateMultipartUploadCommand({
        ...target(context, key),
        ...checksumAlgorithm(config.checksum),
        ...encryptionFields(config.encryption),
        ...writeIdFields(write),
      }),
      options,
    ),
  );
  if (created.UploadId === undefined)
    throw new StorageError({
      code: 'STORAGE_IO',
      operation: 'put',
      key,
      message: `${config.endpoint ?? 'AWS'} began a multipart upload of ${key} without giving its id`,
    });
  return { write, uploadId: created.UploadId };
}

async function uploadPart(
  context: S3Context,
  upload: Upload,
  part: Part,
  signal: AbortSignal,
): Promise<CompletedPart> {
  const { config, requester } = context;
  const { key } = upload.write;
  const PartNumber = part.index + 1;
  const checksum = checksumFields(config.checksum, part.bytes);
  const uploaded = await requester.send({ operation: 'put', key, signal }, (client, options) =>
    client.send(
      new UploadPartCommand({
        ...target(context, key),
        UploadId: upload.uploadId,
        PartNumber,
        Body: part.bytes,
        ContentLength: part.bytes.byteLength,
        ...checksum,
        ...customerKeyFields(config.encryption),
      }),
      options,
    ),
  );
  return { PartNumber, ETag: uploaded.ETag, ...checksum };
}

async function complete(
  context: S3Context,
  upload: Upload,
  parts: readonly CompletedPart[],
): Promise<{ readonly etag?: string }> {
  const { key, signal } = upload.write;
  const Parts = [...parts].sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
  return commitWrite(context, upload.write, (conditions, history) =>
    context.requester.send(
      { operation: 'put', key, signal },
      (client, options) =>
        client.send(
          new CompleteMultipartUploadCommand({
            ...target(context, key),
            UploadId: upload.uploadId,
            MultipartUpload: { Parts },
            ...customerKeyFields(context.config.encryption),
            ...conditions,
          }),
          options,
        ),
      history,
    ),
  );
}

/** Frees the parts. A failure is not reported: the first error is the one that tells what happened. */
async function abort(context: S3Context, upload: Upload): Promise<void> {
  const { key } = upload.write;
  const signal = AbortSignal.timeout(ABORT_TIMEOUT_MS);
  await context.requester
    .send({ operation: 'put', key, signal }, (client, options) =>
      client.send(
        new AbortMultipartUploadCommand({ ...target(context, key), UploadId: upload.uploadId }),
        options,
      ),
    )
    .catch(() => undefined);
}
