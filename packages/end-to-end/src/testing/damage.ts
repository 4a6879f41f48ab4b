import { execFile } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A copy whose files are the originals under another name until {@link rewrite} replaces one. */
export async function linkedCopy(from: string, to: string): Promise<void> {
  await run('cp', ['-al', from, to]);
}

/** Replaces a file of a {@link linkedCopy} by changed bytes; the original keeps its own. */
export async function rewrite(
  file: string,
  change: (bytes: Buffer) => Uint8Array | undefined,
): Promise<void> {
  const bytes = await readFile(file);
  const changed = change(bytes) ?? bytes;
  await rm(file);
  await writeFile(file, changed);
}

/** Flips bits of one byte. */
export function flipping(offset: number, mask = 0xff): (bytes: Buffer) => undefined {
  return (bytes) => {
    bytes.writeUInt8(bytes.readUInt8(offset) ^ mask, offset);
    return undefined;
  };
}

/** The one WAL segment of a stopped cluster that is in use. */
export async function walSegments(dataDirectory: string): Promise<string[]> {
  const names = await readdir(path.join(dataDirectory, 'pg_wal'));
  return names
    .filter((name) => /^[0-9A-F]{24}$/.test(name))
    .map((name) => path.join(dataDirectory, 'pg_wal', name));
}

/** The largest first segment of a relation in a database directory, relative to the data directory. */
export async function largestRelation(dataDirectory: string, database: string): Promise<string> {
  const directory = path.join('base', database);
  const names = (await readdir(path.join(dataDirectory, directory))).filter((name) => /^\d+$/.test(name));
  const sized = await Promise.all(
    names.map(async (name) => ({
      name,
      size: (await readFile(path.join(dataDirectory, directory, name))).length,
    })),
  );
  const [largest] = sized.sort((a, b) => b.size - a.size);
  return path.join(directory, largest?.name ?? '');
}
