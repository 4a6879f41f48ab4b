/** Thread for many small files: plain synchronous calls, since each asynchronous one costs as much as the file itself. */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { CREATE_FLAGS, errnoOf, READ_FLAGS } from './fs-calls.ts';

/** Files to be read into `memory`, back to back. */
export interface ReadBatch {
  readonly kind: 'read';
  readonly paths: readonly string[];
  readonly sizes: readonly number[];
  readonly memory: Uint8Array;
}

export interface WriteBatch {
  readonly kind: 'write';
  readonly paths: readonly string[];
  readonly modes: readonly number[];
  readonly bodies: readonly Uint8Array[];
}

export type BatchRequest = ReadBatch | WriteBatch;

export interface BatchResult {
  /** Files that were read or written. Of a read: flags, one a file. Of a write: the first so many. */
  readonly done: readonly boolean[] | number;
  /** Devices that were written to. */
  readonly devices: readonly number[];
  /** Why the write stopped at the file `done`. */
  readonly failure?: { readonly errno: string; readonly message: string };
}

const PERMISSION_BITS = 0o7777;

const port = parentPort;
if (port === null) throw new Error('this module runs in a worker thread only');
port.on('message', ({ id, request }: { readonly id: number; readonly request: BatchRequest }) => {
  const result = request.kind === 'read' ? readBatch(request) : writeBatch(request);
  port.postMessage({ id, result });
});

function readBatch({ paths, sizes, memory }: ReadBatch): BatchResult {
  let offset = 0;
  const done = paths.map((path, index) => {
    const size = sizes[index] ?? 0;
    const isRead = readFile(path, memory.subarray(offset, offset + size));
    offset += size;
    return isRead;
  });
  return { done, devices: [] };
}

/** False for whatever is no file of exactly this size, or cannot be read. */
function readFile(path: string, target: Uint8Array): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, READ_FLAGS);
  } catch {
    return false;
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() || stats.size !== target.length) return false;
    let filled = 0;
    while (filled < target.length) {
      const count = readSync(descriptor, target, filled, target.length - filled, filled);
      if (count === 0) return false;
      filled += count;
    }
    return true;
  } catch {
    return false;
  } finally {
    closeSync(descriptor);
  }
}

function writeBatch({ paths, modes, bodies }: WriteBatch): BatchResult {
  const devices = new Set<number>();
  let done = 0;
  try {
    for (const path of paths) {
      devices.add(writeFile(path, bodies[done] ?? new Uint8Array(0), modes[done] ?? constants.S_IRUSR));
      done += 1;
    }
    return { done, devices: [...devices] };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { done, devices: [...devices], failure: { errno: errnoOf(error) ?? 'EIO', message } };
  }
}

/** Writes a new file under its final name; gives its device. One that cannot be finished is removed. */
function writeFile(path: string, body: Uint8Array, mode: number): number {
  const descriptor = openSync(path, CREATE_FLAGS, mode);
  let isWritten = false;
  try {
    for (let offset = 0; offset < body.length; ) {
      offset += writeSync(descriptor, body, offset, body.length - offset);
    }
    const stats = fstatSync(descriptor);
    // The umask may have cut some.
    if ((stats.mode & PERMISSION_BITS) !== mode) fchmodSync(descriptor, mode);
    isWritten = true;
    return stats.dev;
  } finally {
    closeSync(descriptor);
    if (!isWritten) unlinkSync(path);
  }
}
