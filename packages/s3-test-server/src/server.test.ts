import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { type S3TestServer, type S3TestServerOptions, startS3TestServer } from './server.ts';

const Bucket = 'bucket';

async function withServer(
  options: S3TestServerOptions,
  body: (server: S3TestServer, client: S3Client) => Promise<void>,
  clientConfig: S3ClientConfig = {},
): Promise<void> {
  await using server = await startS3TestServer({ buckets: [Bucket], ...options });
  const client = new S3Client({
    endpoint: server.endpoint,
    region: server.region,
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
    ...clientConfig,
  });
  try {
    await body(server, client);
  } finally {
    client.destroy();
  }
}

const textOf = async (client: S3Client, Key: string, Range?: string) =>
  (
    await client.send(new GetObjectCommand({ Bucket, Key, ...(Range && { Range }) }))
  ).Body?.transformToString();

test('An object comes back as it was put, whole and in ranges, with its metadata', async () => {
  await withServer({}, async (server, client) => {
    const Key = 'dir/ä + %~*(2)&.txt';
    await client.send(new PutObjectCommand({ Bucket, Key, Body: 'hello world', Metadata: { tag: 'x' } }));
    expect(await textOf(client, Key)).toBe('hello world');
    expect(await textOf(client, Key, 'bytes=6-8')).toBe('wor');
    expect(await textOf(client, Key, 'bytes=6-')).toBe('world');
    expect(await textOf(client, Key, 'bytes=-3')).toBe('rld');
    await expect(textOf(client, Key, 'bytes=11-')).rejects.toMatchObject({ name: 'InvalidRange' });
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    expect(head).toMatchObject({ ContentLength: 11, Metadata: { tag: 'x' } });
    expect(server.keys(Bucket)).toEqual([Key]);
  });
});

test.each([
  ['trailing CRC32 of a streamed body', { requestChecksumCalculation: 'WHEN_SUPPORTED' as const }],
  ['signed body', { requestChecksumCalculation: 'WHEN_REQUIRED' as const }],
])('A put with a %s is received whole', async (_, config) => {
  await withServer(
    {},
    async (_server, client) => {
      const Body =
        config.requestChecksumCalculation === 'WHEN_SUPPORTED'
          ? Readable.from([Buffer.alloc(200_000, 'a')])
          : 'a'.repeat(200_000);
      await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body, ContentLength: 200_000 }));
      expect(await textOf(client, 'k')).toBe('a'.repeat(200_000));
    },
    config,
  );
});

test('A wrong secret, key id, region or bucket and a body that differs from its checksum get the error that S3 gives', async () => {
  const failures: [S3ClientConfig, string][] = [
    [{ credentials: { accessKeyId: 'TESTKEY', secretAccessKey: 'wrong' } }, 'SignatureDoesNotMatch'],
    [{ credentials: { accessKeyId: 'other', secretAccessKey: 'TESTSECRET' } }, 'InvalidAccessKeyId'],
    [{ region: 'eu-west-1' }, 'AuthorizationHeaderMalformed'],
  ];
  for (const [config, name] of failures)
    await withServer(
      {},
      async (_server, client) => {
        await expect(
          client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' })),
        ).rejects.toMatchObject({ name });
      },
      config,
    );
  await withServer({}, async (_server, client) => {
    const put = (extra: object) =>
      client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ...extra }));
    await expect(put({ Bucket: 'other-bucket' })).rejects.toMatchObject({ name: 'NoSuchBucket' });
    await expect(put({ ContentMD5: 'AAAAAAAAAAAAAAAAAAAAAA==' })).rejects.toMatchObject({
      name: 'BadDigest',
    });
    await expect(put({ ChecksumCRC32C: 'AAAAAA==' })).rejects.toMatchObject({ name: 'BadDigest' });
    await expect(textOf(client, 'k')).rejects.toMatchObject({ name: 'NoSuchKey' });
  });
});

test('Conditional puts let one of eight racing writers win', async () => {
  await withServer({}, async (_server, client) => {
    const put = (Body: string, extra: object) =>
      client.send(new PutObjectCommand({ Bucket, Key: 'k', Body, ...extra }));
    const races = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => put(`writer ${index}`, { IfNoneMatch: '*' })),
    );
    const winners = races.filter((race) => race.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    await expect(put('x', { IfMatch: '"00"' })).rejects.toMatchObject({ name: 'PreconditionFailed' });
    await put('next', { IfMatch: winners[0]?.value.ETag });
    expect(await textOf(client, 'k')).toBe('next');
  });
});

test('A multipart upload with CRC32C and a copied part becomes one object, kept in files', async () => {
  const directory = await mkdtemp(join(tmpdir(), 's3-test-server-'));
  await withServer({ directory, limits: { partSizeMinBytes: 4 } }, async (server, client) => {
    await client.send(new PutObjectCommand({ Bucket, Key: 'source', Body: '0123456789' }));
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'k' }));
    const upload = { Bucket, Key: 'k', UploadId };
    const part = await client.send(
      new UploadPartCommand({ ...upload, PartNumber: 1, Body: 'abcd', ChecksumAlgorithm: 'CRC32C' }),
    );
    const copied = await client.send(
      new UploadPartCopyCommand({
        ...upload,
        PartNumber: 2,
        CopySource: `${Bucket}/source`,
        CopySourceRange: 'bytes=2-4',
      }),
    );
    expect(server.openUploads(Bucket)).toBe(1);
    const Parts = [
      { PartNumber: 1, ETag: part.ETag },
      { PartNumber: 2, ETag: copied.CopyPartResult?.ETag },
    ];
    const complete = (extra: object) =>
      client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts }, ...extra }));
    await complete({ IfNoneMatch: '*' });
    expect(await textOf(client, 'k', 'bytes=3-5')).toBe('d23');
    expect(server.openUploads(Bucket)).toBe(0);
    await client.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/k` }));
    expect(await textOf(client, 'copy')).toBe('abcd234');
    expect((await readdir(directory)).length).toBe(2);
  });
  await rm(directory, { recursive: true });
});

test('A listing is paged, folded and in byte order; a batch delete empties it', async () => {
  await withServer({ limits: { pageSizeMax: 2 } }, async (server, client) => {
    const keys = ['a', 'b/1', 'b/2', 'b/3', 'c d', 'é', '\u{ffff}', '\u{1f600}'];
    for (const Key of keys) await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    const objects: string[] = [];
    const prefixes: string[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await client.send(
        new ListObjectsV2Command({ Bucket, Delimiter: '/', EncodingType: 'url', ContinuationToken }),
      );
      expect(page.KeyCount).toBeLessThanOrEqual(2);
      const decode = (text = '') => decodeURIComponent(text.replaceAll('+', ' '));
      objects.push(...(page.Contents ?? []).map((object) => decode(object.Key)));
      prefixes.push(...(page.CommonPrefixes ?? []).map((prefix) => decode(prefix.Prefix)));
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);
    expect(objects).toEqual(['a', 'c d', 'é', '\u{ffff}', '\u{1f600}']);
    expect(prefixes).toEqual(['b/']);
    await client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: [...keys, 'none'].map((Key) => ({ Key })) } }),
    );
    expect(server.keys(Bucket)).toEqual([]);
  });
});

test('A client that reads slowly, in many pieces, costs the server no warning', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const directory = await mkdtemp(join(tmpdir(), 'neon-s3-test-'));
  try {
    await withServer({ directory }, async (_, client) => {
      await client.send(new PutObjectCommand({ Bucket, Key: 'large', Body: Buffer.alloc(16 * 2 ** 20) }));
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: 'large' }));
      let sizeBytes = 0;
      for await (const chunk of Body as Readable) {
        sizeBytes += chunk.length;
        await sleep(1);
      }
      expect(sizeBytes).toBe(16 * 2 ** 20);
    });
    expect(warnings).toEqual([]);
  } finally {
    process.off('warning', onWarning);
    await rm(directory, { recursive: true });
  }
});

test('Injected faults hit the requests that they name and no others', async () => {
  await withServer({}, async (server, client) => {
    await client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x'.repeat(100_000) }));
    const slow = server.inject({
      operation: 'GetObject',
      skip: 1,
      effect: { kind: 'error', status: 503, code: 'SlowDown' },
    });
    expect(await textOf(client, 'k')).toHaveLength(100_000);
    await expect(textOf(client, 'k')).rejects.toMatchObject({ name: 'SlowDown' });
    expect(slow.hits).toBe(1);
    for (const how of ['reset', 'end'] as const) {
      server.inject({ operation: 'GetObject', effect: { kind: 'cut', afterBytes: 50_000, how } });
      await expect(textOf(client, 'k')).rejects.toThrow();
    }
    server.inject({ operation: 'GetObject', effect: { kind: 'flip', atByte: 7 } });
    await expect(textOf(client, 'k')).rejects.toThrow('Checksum mismatch');
    server.inject({ operation: 'PutObject', effect: { kind: 'reset', when: 'after-commit' } });
    await expect(client.send(new PutObjectCommand({ Bucket, Key: 'n', Body: 'y' }))).rejects.toThrow();
    expect(await textOf(client, 'n')).toBe('y');
    expect(server.log.count('GetObject')).toBe(6);
  });
});

test('HTTPS is served with a certificate that its own PEM verifies', async () => {
  await using server = await startS3TestServer({ tls: true });
  const { request } = await import('node:https');
  const status = await new Promise((resolve, reject) => {
    const options = { ca: server.caCertificatePem };
    request(server.endpoint, options, (response) => resolve(response.statusCode))
      .on('error', reject)
      .end();
  });
  expect(status).toBe(403);
});
