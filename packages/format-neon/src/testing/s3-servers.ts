import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { startS3TestServer } from '@neon-snapshot/s3-test-server';

export const S3_KEYS = { accessKeyId: 'TESTKEY', secretAccessKey: 'TESTSECRET' };

/** The one of this repository, and `NAME=ENDPOINT` of the real ones that run here (scripts/servers). */
export const S3_SERVERS: readonly string[] = [
  's3-test-server',
  ...(process.env.NEON_TEST_S3_SERVERS ?? '').split(' ').filter((entry) => entry !== ''),
];

export interface S3Bucket extends AsyncDisposable {
  readonly endpoint: string;
}

/** Makes an empty bucket on one of the servers. */
export async function openBucket(name: string, bucket: string): Promise<S3Bucket> {
  if (name === 's3-test-server') {
    const server = await startS3TestServer({ buckets: [bucket] });
    return { endpoint: server.endpoint, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  }
  const endpoint = name.slice(name.indexOf('=') + 1);
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: S3_KEYS });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  return { endpoint, async [Symbol.asyncDispose]() {} };
}
