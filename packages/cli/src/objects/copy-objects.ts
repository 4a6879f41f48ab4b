import type { Storage } from '@neon-snapshot/storage-core';
import { concurrencyOf, type Session } from '../session.ts';

/** One object on its way. */
export interface ObjectCopy {
  readonly from: string;
  readonly to: string;
  readonly sizeBytes: number;
}

export interface ObjectCopies {
  readonly source: Storage;
  readonly destination: Storage;
  readonly copies: readonly ObjectCopy[];
}

/** Copies objects side by side, through this machine; each becomes visible whole. The first failure ends all of them. */
export async function copyObjects(
  session: Session,
  { source, destination, copies }: ObjectCopies,
): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([session.signal, failed.signal]);
  const bytesTotal = copies.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let [bytesDone, filesDone, next] = [0, 0, 0];
  const report = () =>
    session.onProgress({ phase: 'copy', bytesDone, bytesTotal, filesDone, filesTotal: copies.length });
  const work = async () => {
    for (let copy = copies[next++]; copy !== undefined; copy = copies[next++]) {
      const { from, to, sizeBytes } = copy;
      const { body } = await source.get(from, { signal });
      await destination.put(
        to,
        counted(body, (count) => {
          bytesDone += count;
          report();
        }),
        { sizeBytes, signal },
      );
      filesDone += 1;
      report();
    }
  };
  const workers = Array.from({ length: Math.min(concurrencyOf(session.args), copies.length) }, () =>
    work().catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  const outcomes = await Promise.allSettled(workers);
  if (failed.signal.aborted) throw failed.signal.reason;
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  onBytes: (count: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    onBytes(chunk.length);
    yield chunk;
  }
}
