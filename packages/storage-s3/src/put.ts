import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { PutBody, PutOptions, PutResult } from '@neon-snapshot/storage-core';
import { checksumFields } from './checksum.ts';
import { commitWrite, isConditional, type Write, writeIdFields } from './conditions.ts';
import { type S3Context, target } from './context.ts';
import { encryptionFields } from './encryption.ts';
import { putMultipart } from './multipart.ts';
import { planParts } from './part-plan.ts';
import { type Part, readParts } from './read-parts.ts';

/**
 * Stores a body that was checked already: one PutObject when it fits one part, else a multipart upload. An error of the
 * body itself reaches the caller as it is.
 */
export async function putObject(
  context: S3Context,
  key: string,
  body: PutBody,
  options: PutOptions,
): Promise<PutResult> {
  const write: Write = {
    key,
    ifNoneMatch: options.ifNoneMatch,
    ifMatch: options.ifMatch,
    signal: options.signal,
    writeId: context.newWriteId(),
  };
  const announced = key.endsWith('/') ? 0 : body instanceof Uint8Array ? body.byteLength : options.sizeBytes;
  const parts = readParts(body, {
    key,
    plan: planParts(context.memory.partSizeBytes, announced),
    memory: context.memory,
    sizeBytes: announced,
    signal: options.signal,
  });
  try {
    const first = await parts.next();
    if (first.done === true) throw new Error('readParts gives at least one part');
    if (!first.value.isLast) return await putMultipart(context, write, first.value, parts);
    return await putSingle(context, write, first.value);
  } finally {
    // Lets go of a body that was not read to its end.
    await parts.return(undefined);
  }
}

async function putSingle(context: S3Context, write: Write, part: Part): Promise<PutResult> {
  const { config, requester } = context;
  const { key, signal } = write;
  const sizeBytes = part.bytes.byteLength;
  const result = await commitWrite(context, write, (conditions, history) =>
    requester.send(
      { operation: 'put', key, signal },
      (client, callOptions) =>
        client.send(
          new PutObjectCommand({
            ...target(context, key),
            Body: part.bytes,
            ContentLength: sizeBytes,
            ...checksumFields(config.checksum, part.bytes),
            ...encryptionFields(config.encryption),
            ...(isConditional(write) ? writeIdFields(write) : {}),
            ...conditions,
          }),
          callOptions,
        ),
      history,
    ),
  );
  part.release();
  return { ...result, sizeBytes };
}
