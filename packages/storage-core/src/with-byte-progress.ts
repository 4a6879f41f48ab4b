import { forwardStorage } from './forward-storage.ts';
import type { PutBody, Storage } from './storage.ts';
import { withoutBulkVerbs } from './without-bulk-verbs.ts';

export interface ByteProgress {
  readonly verb: 'get' | 'put';
  readonly bytes: number;
}

/** Reports bytes as they pass: of `get` when the reader takes them, of `put` when the storage does. */
export function withByteProgress(
  inner: Storage,
  options: { readonly onBytes: (progress: ByteProgress) => void },
): Storage {
  const { onBytes } = options;
  const counted = async function* (
    body: AsyncIterable<Uint8Array>,
    verb: ByteProgress['verb'],
  ): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      onBytes({ verb, bytes: chunk.byteLength });
      yield chunk;
    }
  };
  return forwardStorage(inner, {
    ...withoutBulkVerbs(inner),
    async get(key, getOptions) {
      const { info, body } = await inner.get(key, getOptions);
      return { info, body: counted(body, 'get') };
    },
    async put(key, body: PutBody, putOptions) {
      if (!(body instanceof Uint8Array)) return inner.put(key, counted(body, 'put'), putOptions);
      const result = await inner.put(key, body, putOptions);
      onBytes({ verb: 'put', bytes: body.byteLength });
      return result;
    },
  });
}
