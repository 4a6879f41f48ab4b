// One object up or down, in a process of its own for case-s3-objects.ts: s3-transfer.ts TOOL DIRECTION ENDPOINT KEY FILE
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { openS3Storage } from '@neon-snapshot/storage-s3';

const PART_BYTES = 8 * 2 ** 20;
const PARTS_AT_ONCE = 4;
const READ_BYTES = 2 ** 20;
const Bucket = 'bench';
const [tool, direction, endpoint = '', key = '', file = ''] = process.argv.slice(2);
const credentials = { accessKeyId: 'TESTKEY', secretAccessKey: 'TESTSECRET' };

const source = () => createReadStream(file, { highWaterMark: READ_BYTES });

async function withStorage(): Promise<void> {
  await using storage = await openS3Storage({
    bucket: Bucket,
    endpoint,
    credentials,
    partSizeBytes: PART_BYTES,
    concurrency: PARTS_AT_ONCE,
  });
  if (direction === 'upload') await storage.put(key, source(), { sizeBytes: (await stat(file)).size });
  else await pipeline((await storage.get(key)).body, createWriteStream(file));
}

async function withSdk(): Promise<void> {
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  if (direction === 'upload') {
    const params = { Bucket, Key: key, Body: source() };
    await new Upload({ client, params, partSize: PART_BYTES, queueSize: PARTS_AT_ONCE }).done();
  } else {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: key }));
    if (!(Body instanceof Readable)) throw new Error('the SDK gave no stream');
    await pipeline(Body, createWriteStream(file));
  }
  client.destroy();
}

await (tool === 'sdk' ? withSdk() : withStorage());
