/** Logs of processes that write through a file descriptor opened for appending, and so never learn of a rotation. */
import { copyFile, open, rename, rm, stat, truncate } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export interface BoundLogOptions {
  /** Default 16 MiB. */
  readonly sizeBytesMax?: number;
  /** Older pieces kept, as `LOG.1` (newest) and so on. Default 3. */
  readonly keptCount?: number;
}

const SIZE_BYTES_MAX = 16 * 1024 * 1024;
const KEPT_COUNT = 3;
const TAIL_BYTES_MAX = 256 * 1024;
const FOLLOW_INTERVAL_MS = 200;
const CHUNK_BYTES = 64 * 1024;

/**
 * Moves what a log holds to `LOG.1` once it has passed its size: copied, then cut, since writers keep the file open. Lines written
 * between the two are lost. False where there was nothing to do.
 */
export async function boundLogFile(path: string, options: BoundLogOptions = {}): Promise<boolean> {
  const { sizeBytesMax = SIZE_BYTES_MAX, keptCount = KEPT_COUNT } = options;
  const size = await sizeOf(path);
  if (size === undefined || size <= sizeBytesMax) return false;
  for (let number = keptCount - 1; number >= 1; number -= 1) {
    if ((await sizeOf(`${path}.${number}`)) !== undefined)
      await rename(`${path}.${number}`, `${path}.${number + 1}`);
  }
  if (keptCount > 0) await copyFile(path, `${path}.1`);
  else await rm(`${path}.1`, { force: true });
  await truncate(path, 0);
  return true;
}

/** The last lines of a log, oldest first; none where it can't be read. */
export async function readLastLines(path: string, lineCount: number): Promise<string[]> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const length = Math.min(size, TAIL_BYTES_MAX);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    if (lines.at(-1) === '') lines.pop();
    return lines.slice(-lineCount);
  } catch {
    return [];
  }
}

/** What is appended to a log from now on, until the signal fires; goes on after a rotation. */
export async function* followLog(path: string, signal: AbortSignal): AsyncGenerator<string> {
  let position = (await sizeOf(path)) ?? 0;
  while (!signal.aborted) {
    const size = (await sizeOf(path)) ?? 0;
    if (size < position) position = 0;
    if (size > position) {
      const bytes = await readAt(path, position, Math.min(size - position, CHUNK_BYTES));
      position += bytes.length;
      yield bytes.toString('utf8');
      continue;
    }
    await delay(FOLLOW_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function readAt(path: string, position: number, length: number): Promise<Buffer> {
  await using file = await open(path, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
