// A process of its own that imports the large made-up snapshot, slowly: to be killed.
// node import-worker.ts BYTES_PER_SECOND DIRECTORY | BYTES_PER_SECOND ENDPOINT BUCKET PREFIX
// prints the key of each object that it is going to put.
import { withRateLimit } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { openS3Storage } from '@neon-snapshot/storage-s3';
import { makeLargeSnapshot } from './large-snapshot.ts';
import { write } from './made-up-runs.ts';
import { S3_KEYS } from './s3-servers.ts';
import { watchPuts } from './watched-storage.ts';

const [rate = '', place = '', bucket, prefix = ''] = process.argv.slice(2);
const { reader } = makeLargeSnapshot();
const destination =
  bucket === undefined
    ? await openFsStorage({ rootPath: place, create: true })
    : await openS3Storage({ endpoint: place, bucket, prefix, credentials: S3_KEYS });
const slow = withRateLimit(destination, { bytesPerSecondMax: Number(rate) });
const storage = watchPuts(slow, (key) => process.stdout.write(`${key}\n`));
await write(reader, storage, { sole_tenant: true });
