/** Writes two files in one go in a process that may write files of 10,000 bytes at most; prints what came of it. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { isStorageError } from '@neon-snapshot/storage-core';
import { openFsStorage } from '../fs-storage.ts';

const rootPath = process.argv[2] ?? '';
// Without a handler the signal ends the process; with one the write fails.
process.on('SIGXFSZ', () => undefined);
execFileSync('prlimit', ['--pid', `${process.pid}`, '--fsize=10000']);
const storage = await openFsStorage({ rootPath });
const files = ['small', 'large'].map((key, index) => ({
  key,
  bytes: new Uint8Array(8000 + index * 8000),
  mode: 0o600,
}));
const error = await storage.fileTree?.writeFiles?.(files).catch((cause: unknown) => cause);
const { code, key } = isStorageError(error) ? error : { code: `${error}`, key: '' };
console.log(JSON.stringify({ code, key, names: readdirSync(rootPath) }));
