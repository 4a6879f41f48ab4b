// A process that gives up root, tries to read and to write, and prints the errors as JSON lines.
import { isStorageError } from '@neon-snapshot/storage-core';
import { openFsStorage } from '../fs-storage.ts';

const UNPRIVILEGED = 65534;
const [rootPath = '', ...keys] = process.argv.slice(2);
const storage = await openFsStorage({ rootPath });
if (process.getuid?.() === 0) {
  process.setgroups?.([UNPRIVILEGED]);
  process.setgid?.(UNPRIVILEGED);
  process.setuid?.(UNPRIVILEGED);
}
const report = (error: unknown) => {
  const found = isStorageError(error)
    ? { code: error.code, message: error.message }
    : { code: String(error) };
  process.stdout.write(`${JSON.stringify(found)}\n`);
};
for (const key of keys) {
  await storage.get(key).then(() => report('read'), report);
  await storage.put(key, new Uint8Array(1)).then(() => report('written'), report);
}
