import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { makeBucket } from '../testing/bucket.ts';
import { startS3Process } from '../testing/s3-process.ts';

/** A storage that is no part of the machine that is lost. */
export interface Place extends AsyncDisposable {
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
}

export type PlaceKind = 'file' | 's3';

/** Where `NEON_TEST_S3_SERVERS` names a real S3 server, that; else the small one in a process of its own. */
export async function openPlace(kind: PlaceKind, scratch: string): Promise<Place> {
  if (kind === 'file') return placeAt(path.join(scratch, 'bucket'));
  const directory = path.join(scratch, 's3');
  return process.env.NEON_TEST_S3_SERVERS ? makeBucket(directory) : startS3Process(directory);
}

/** A new prefix of any storage; what opens it is in our own environment. Its objects stay. */
export function openPlaceBelow(storageDest: string): Place {
  return placeAt(`${storageDest.replace(/\/+$/, '')}/soak-${randomUUID()}`);
}

function placeAt(url: string): Place {
  return { url, env: {}, [Symbol.asyncDispose]: async () => undefined };
}
