// A process that tries one conditional put when told to start, and prints `won` or the error's code.
import { isStorageError } from '@neon-snapshot/storage-core';
import { openFsStorage } from '../fs-storage.ts';

const [rootPath = '', key = '', ifMatch] = process.argv.slice(2);
const storage = await openFsStorage({ rootPath });
process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
try {
  await storage.put(key, new Uint8Array([1]), ifMatch === undefined ? { ifNoneMatch: '*' } : { ifMatch });
  process.stdout.write('won\n');
} catch (error) {
  process.stdout.write(`${isStorageError(error) ? error.code : String(error)}\n`);
}
process.stdin.destroy();
