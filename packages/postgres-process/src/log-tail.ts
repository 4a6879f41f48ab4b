import { open } from 'node:fs/promises';

const TAIL_SIZE_BYTES = 16 * 1024;
const TAIL_LINE_COUNT = 12;

/** The last lines of a text, for an error message. */
export function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-TAIL_LINE_COUNT).join('\n');
}

/** The last lines of a log file; empty when it can't be read. */
export async function readLogTail(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const length = Math.min(size, TAIL_SIZE_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return lastLines(buffer.toString('utf8', 0, bytesRead));
  } catch {
    return '';
  }
}
