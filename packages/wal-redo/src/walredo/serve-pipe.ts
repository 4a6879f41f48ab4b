import { readSync, writeSync } from 'node:fs';
import type { RedoEngine } from '../redo-engine.ts';
import { RedoPipe } from './redo-pipe.ts';

const CHUNK_SIZE = 256 * 1024;
const RETRY_MS = 1;

/** Answers requests from one file descriptor on another until the first ends. Synchronous: nothing else runs meanwhile. */
export function servePipe(
  engine: RedoEngine,
  files: { readonly input: number; readonly output: number },
): void {
  const pipe = new RedoPipe(engine, (page) => writeWhole(files.output, page));
  const chunk = new Uint8Array(CHUNK_SIZE);
  for (;;) {
    const length = retrying(() => readSync(files.input, chunk));
    if (length === 0) return;
    pipe.push(chunk.subarray(0, length));
  }
}

function writeWhole(file: number, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) written += retrying(() => writeSync(file, bytes, written));
}

const waiting = new Int32Array(new SharedArrayBuffer(4));

/** A pipe that its other end made non-blocking says EAGAIN where it would block. */
function retrying(action: () => number): number {
  for (;;) {
    try {
      return action();
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(waiting, 0, 0, RETRY_MS);
    }
  }
}
