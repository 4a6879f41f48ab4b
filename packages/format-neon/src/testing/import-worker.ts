// A process of its own that imports the large made-up snapshot into a directory, slowly: to be killed.
// node import-worker.ts DIRECTORY BYTES_PER_SECOND; prints the key of each object that it is going to put.
import { withRateLimit } from '@neon-snapshot/storage-core';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { makeLargeSnapshot } from './large-snapshot.ts';
import { write } from './made-up-runs.ts';
import { watchPuts } from './watched-storage.ts';

const [rootPath = '', rate = ''] = process.argv.slice(2);
const { reader } = makeLargeSnapshot();
const directory = await openFsStorage({ rootPath, create: true });
const slow = withRateLimit(directory, { bytesPerSecondMax: Number(rate) });
const storage = watchPuts(slow, (key) => process.stdout.write(`${key}\n`));
await write(reader, storage, { sole_tenant: true });
