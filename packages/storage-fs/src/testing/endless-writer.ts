// A process that streams an object without end, to be killed in the middle of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { openFsStorage } from '../fs-storage.ts';

const [rootPath = '', key = ''] = process.argv.slice(2);
const storage = await openFsStorage({ rootPath });
await storage.put(
  key,
  (async function* () {
    for (let count = 0; ; count++) {
      yield new Uint8Array(1024 * 1024);
      if (count === 3) process.stdout.write('writing\n');
      if (count > 3) await sleep(5);
    }
  })(),
);
