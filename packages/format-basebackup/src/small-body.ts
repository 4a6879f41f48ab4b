import { type FileEntry, FormatError } from '@neon-snapshot/format-core';

/** Init forks have a few pages; what is larger is none. */
const SIZE_MAX_BYTES = 16 * 1024 * 1024;

/** The whole body of a file that is small by its nature. `FORMAT_INVALID` above 16 MiB. */
export async function takeSmall({
  path,
  sizeBytes,
  body,
}: Pick<FileEntry, 'path' | 'sizeBytes' | 'body'>): Promise<Uint8Array> {
  if (sizeBytes > SIZE_MAX_BYTES) {
    throw new FormatError({
      code: 'FORMAT_INVALID',
      operation: 'read file',
      message: `${path} has ${sizeBytes} bytes, expected at most ${SIZE_MAX_BYTES}`,
      context: { path, sizeBytes },
    });
  }
  const bytes = new Uint8Array(sizeBytes);
  let end = 0;
  for await (const chunk of body) {
    if (end + chunk.length > sizeBytes) break;
    bytes.set(chunk, end);
    end += chunk.length;
  }
  if (end === sizeBytes) return bytes;
  throw new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'read file',
    message: `${path} has another size than ${sizeBytes} bytes`,
    context: { path, sizeBytes },
  });
}
