import { HeadBucketCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { loadSharedConfigFiles } from '@smithy/core/config';
import { sharedFiles } from './credentials.ts';
import type { S3StorageOptions } from './options.ts';

/** Where AWS' global endpoint and every custom endpoint of unknown region are signed for. */
export const DEFAULT_REGION = 'us-east-1';

/** The region that the options or the profile say; `us-east-1` for a custom endpoint; undefined: ask AWS. */
export async function configuredRegion(options: S3StorageOptions): Promise<string | undefined> {
  if (options.region !== undefined) return options.region;
  const { configFile, credentialsFile } = await loadSharedConfigFiles(sharedFiles(options));
  const profile = options.profile ?? 'default';
  const fromProfile = configFile[profile]?.region ?? credentialsFile[profile]?.region;
  return fromProfile ?? (options.endpoint === undefined ? undefined : DEFAULT_REGION);
}

/** A region provider that asks AWS once, at the first request, where the bucket is. */
export function discoveredRegion(bucket: string, config: S3ClientConfig): () => Promise<string> {
  let asked: Promise<string> | undefined;
  return () => {
    asked ??= askRegion(bucket, config).catch((error: unknown) => {
      asked = undefined;
      throw error;
    });
    return asked;
  };
}

/** HEAD of a bucket tells its region even when it refuses access or redirects. */
async function askRegion(bucket: string, config: S3ClientConfig): Promise<string> {
  const client = new S3Client({ ...config, region: DEFAULT_REGION });
  try {
    const answer = await client.send(new HeadBucketCommand({ Bucket: bucket }));
    return answer.BucketRegion ?? DEFAULT_REGION;
  } catch (error) {
    const region = regionHeader(error);
    if (region === undefined) throw error;
    return region;
  }
}

function regionHeader(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('$response' in error)) return undefined;
  const { $response: response } = error;
  if (typeof response !== 'object' || response === null || !('headers' in response)) return undefined;
  const { headers } = response;
  if (typeof headers !== 'object' || headers === null) return undefined;
  const region: unknown = Reflect.get(headers, 'x-amz-bucket-region');
  return typeof region === 'string' && region !== '' ? region : undefined;
}
