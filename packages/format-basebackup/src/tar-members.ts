import { decompress, readTar, type TarEntry } from '@neon-snapshot/archive';
import { FormatError } from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { archiveFault } from './archive-fault.ts';
import type { StoredTar } from './backup-set.ts';

export interface TarPlace {
  readonly storage: Storage;
  readonly tar: StoredTar;
  readonly signal?: AbortSignal | undefined;
}

/** The members of a stored tar, decompressed on the way; each body is drained before the next member. `FormatError`s name the tar. */
export async function* readMembers({ storage, tar, signal }: TarPlace): AsyncGenerator<TarEntry, void, void> {
  const { body } = await storage.get(tar.key, { signal });
  const stream = tar.compression === undefined ? body : decompress(body, tar.compression, { signal });
  yield* membersOf(stream, { key: tar.key, url: storage.url, freesChunks: true, signal });
}

/** The members of a plain tar that arrives; a chunk of a body is good until the next one. `key` and `url` are for messages. */
export async function* membersOf(
  stream: AsyncIterable<Uint8Array>,
  {
    freesChunks,
    signal,
    ...place
  }: {
    readonly key: string;
    readonly url: string;
    /** As of `readTar`. */
    readonly freesChunks: boolean;
    readonly signal: AbortSignal | undefined;
  },
): AsyncGenerator<TarEntry, void, void> {
  try {
    for await (const member of readTar(stream, { signal, freesChunks })) {
      yield { ...member, body: withFaults(member.body, place) };
    }
  } catch (error) {
    throw archiveFault(error, place);
  }
}

async function* withFaults(
  body: AsyncIterable<Uint8Array>,
  place: { readonly key: string; readonly url: string },
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body;
  } catch (error) {
    throw archiveFault(error, place);
  }
}

/** The whole body of a member that is small by its nature; `FORMAT_INVALID` when it is larger. */
export async function readSmallMember(member: TarEntry, sizeMaxBytes: number): Promise<Uint8Array> {
  if (member.sizeBytes > sizeMaxBytes) {
    throw new FormatError({
      code: 'FORMAT_INVALID',
      operation: 'read tar',
      message: `${member.path} has ${member.sizeBytes} bytes, expected at most ${sizeMaxBytes}`,
      context: { path: member.path, sizeBytes: member.sizeBytes },
    });
  }
  const bytes = new Uint8Array(member.sizeBytes);
  let end = 0;
  for await (const chunk of member.body) {
    bytes.set(chunk, end);
    end += chunk.length;
  }
  return bytes;
}
