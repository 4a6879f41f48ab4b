import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { startS3TestServer } from '@neon-snapshot/s3-test-server';

const KEYS = { accessKeyId: 'TESTKEY', secretAccessKey: 'TESTSECRET' };
const REGION = 'us-east-1';

/** A new bucket on a real S3 server where one is named, else on the small one. */
export interface TestBucket extends AsyncDisposable {
  readonly server: string;
  readonly url: string;
  /** What the CLI needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
}

export async function makeBucket(directory: string): Promise<TestBucket> {
  const [real] = (process.env.NEON_TEST_S3_SERVERS ?? '').split(' ').filter((entry) => entry !== '');
  const bucket = `neon-${randomUUID()}`;
  if (real === undefined) await mkdir(directory, { recursive: true });
  const own = real === undefined ? await startS3TestServer({ buckets: [bucket], directory }) : undefined;
  const endpoint = own?.endpoint ?? real?.slice(real.indexOf('=') + 1) ?? '';
  if (own === undefined) {
    const client = new S3Client({ endpoint, region: REGION, forcePathStyle: true, credentials: KEYS });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    client.destroy();
  }
  return {
    server: own === undefined ? (real?.split('=')[0] ?? '') : 's3-test-server',
    url: `s3://${bucket}/prefix`,
    env: {
      AWS_ENDPOINT: endpoint,
      AWS_REGION: REGION,
      AWS_S3_FORCE_PATH_STYLE: 'true',
      AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
    },
    [Symbol.asyncDispose]: async () => own?.[Symbol.asyncDispose](),
  };
}
