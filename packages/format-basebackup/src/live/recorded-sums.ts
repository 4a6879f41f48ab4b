import { type BackupManifest, crc32c } from '@neon-snapshot/postgres';
import { type CheckedBody, type FileChecks, ManifestCheck } from '../manifest-check.ts';

interface Recorded {
  readonly sizeBytes: number;
  crc32c: number;
}

/** Checksums of the files of a backup whose manifest comes last. About 150 bytes a file are kept. */
export class RecordedSums implements FileChecks {
  readonly #files = new Map<string, Recorded[]>();

  checked(
    path: string,
    { sizeBytes, body }: { readonly sizeBytes: number; readonly body: AsyncIterable<Uint8Array> },
  ): CheckedBody {
    const file = this.#add(path, sizeBytes);
    return { body: recorded(body, file), crc32c: () => file.crc32c };
  }

  assertBytes(path: string, bytes: Uint8Array): void {
    this.#add(path, bytes.length).crc32c = crc32c(bytes);
  }

  /** Throws what {@link ManifestCheck} would have thrown. */
  compareWith(manifest: BackupManifest, options: { readonly url: string }): void {
    const check = new ManifestCheck(manifest, options);
    for (const [path, files] of this.#files) for (const file of files) check.assertSum(path, file);
    check.finish();
  }

  #add(path: string, sizeBytes: number): Recorded {
    const file = { sizeBytes, crc32c: 0 };
    const before = this.#files.get(path);
    if (before === undefined) this.#files.set(path, [file]);
    else before.push(file);
    return file;
  }
}

async function* recorded(
  body: AsyncIterable<Uint8Array>,
  file: Recorded,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) {
    file.crc32c = crc32c(chunk, file.crc32c);
    yield chunk;
  }
}
