import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes that never change once stored. */
export interface Blob {
  readonly sizeBytes: number;
  /** Bytes `[start, end)`. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  dispose(): Promise<void>;
}

/** Where bodies are kept. */
export interface BlobStore {
  /** Stores all of `body`; on failure nothing is kept. */
  store(body: AsyncIterable<Uint8Array>): Promise<Blob>;
}

export function createMemoryBlobStore(): BlobStore {
  return {
    async store(body) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      return {
        sizeBytes: bytes.length,
        async *read(start, end) {
          if (end > start) yield bytes.subarray(start, end);
        },
        dispose: async () => {},
      };
    },
  };
}

/** Bodies as files of a directory that exists, so that large tests do not sit in memory. */
export function createDirectoryBlobStore(directory: string): BlobStore {
  let count = 0;
  return {
    async store(body) {
      const path = join(directory, `blob-${count++}`);
      const file = await open(path, 'wx');
      let sizeBytes = 0;
      try {
        for await (const chunk of body) {
          await file.write(chunk);
          sizeBytes += chunk.length;
        }
      } catch (error) {
        await rm(path, { force: true });
        throw error;
      } finally {
        await file.close();
      }
      return fileBlob(path, sizeBytes);
    },
  };
}

function fileBlob(path: string, sizeBytes: number): Blob {
  return {
    sizeBytes,
    async *read(start, end) {
      if (end > start) yield* createReadStream(path, { start, end: end - 1, highWaterMark: 1 << 18 });
    },
    dispose: () => rm(path, { force: true }),
  };
}

/** Several blobs one after the other, as a completed multipart upload has them. */
export function concatenateBlobs(parts: readonly Blob[]): Blob {
  return {
    sizeBytes: parts.reduce((sum, part) => sum + part.sizeBytes, 0),
    async *read(start, end) {
      let offset = 0;
      for (const part of parts) {
        const from = Math.max(start - offset, 0);
        const to = Math.min(end - offset, part.sizeBytes);
        if (to > from) yield* part.read(from, to);
        offset += part.sizeBytes;
      }
    },
    dispose: async () => {
      await Promise.all(parts.map((part) => part.dispose()));
    },
  };
}
