import { createHash, type Hash } from 'node:crypto';
import { FormatError } from '@neon-snapshot/format-core';
import {
  type BackupManifest,
  crc32c,
  formatManifestCrc32c,
  type ManifestChecksumAlgorithm,
  type ManifestFile,
} from '@neon-snapshot/postgres';
import { MANIFEST_NAME, WAL_DIRECTORY } from './layout.ts';

/** What pg_verifybackup passes over too: `pg_basebackup -R` writes them after the manifest. */
const NOT_COMPARED = new Set([MANIFEST_NAME, 'postgresql.auto.conf', 'standby.signal', 'recovery.signal']);

/** What is asked of the files of a backup as they pass. */
export interface FileChecks {
  /** The body; it fails at its end where the file is not what it should be. Throws at once for one that should not be there. */
  checked(
    path: string,
    file: { readonly sizeBytes: number; readonly body: AsyncIterable<Uint8Array> },
  ): AsyncIterable<Uint8Array>;
  /** The same for a whole file in memory. */
  assertBytes(path: string, bytes: Uint8Array): void;
}

/** Holds the files of a backup against its manifest as they pass, and each path against coming twice. */
export class ManifestCheck implements FileChecks {
  readonly #listed: Map<string, ManifestFile> | undefined;
  readonly #seen = new Set<string>();
  readonly #url: string;

  constructor(manifest: BackupManifest | undefined, options: { readonly url: string }) {
    this.#url = options.url;
    if (manifest === undefined) return;
    this.#listed = new Map(manifest.files.map((file) => [file.path, file]));
    if (this.#listed.size < manifest.files.length) throw this.#error('FORMAT_INVALID', 'lists a file twice');
  }

  checked(
    path: string,
    { sizeBytes, body }: { readonly sizeBytes: number; readonly body: AsyncIterable<Uint8Array> },
  ): AsyncIterable<Uint8Array> {
    const listed = this.#claim(path, sizeBytes);
    if (listed?.checksum === undefined) return body;
    return this.#hashed(path, { body, checksum: listed.checksum });
  }

  assertBytes(path: string, bytes: Uint8Array): void {
    const checksum = this.#claim(path, bytes.length)?.checksum;
    if (checksum === undefined) return;
    const sum = new FileSum(checksum.algorithm);
    sum.add(bytes);
    this.#compare(path, { found: sum.hex(), checksum });
  }

  /** The same for a file whose checksum was taken when it passed. */
  assertSum(path: string, file: { readonly sizeBytes: number; readonly crc32c: number }): void {
    const checksum = this.#claim(path, file.sizeBytes)?.checksum;
    if (checksum?.algorithm !== 'CRC32C') return;
    this.#compare(path, { found: formatManifestCrc32c(file.crc32c), checksum });
  }

  /** Every listed file has come. */
  finish(): void {
    for (const path of this.#listed?.keys() ?? []) {
      if (this.#seen.has(path) || NOT_COMPARED.has(path)) continue;
      throw this.#error('FORMAT_TRUNCATED', `lists ${path}, which is in no tar`, path);
    }
  }

  #claim(path: string, sizeBytes: number): ManifestFile | undefined {
    if (this.#seen.has(path)) {
      throw new FormatError({
        code: 'FORMAT_INVALID',
        operation: 'read backup',
        message: `${this.#url} has ${path} twice, in one tar or in two`,
        context: { path },
      });
    }
    this.#seen.add(path);
    if (this.#listed === undefined || NOT_COMPARED.has(path)) return undefined;
    const listed = this.#listed.get(path);
    if (listed === undefined) {
      if (path.startsWith(`${WAL_DIRECTORY}/`)) return undefined;
      throw this.#error('FORMAT_INVALID', `does not list ${path}, which is in a tar`, path);
    }
    if (listed.size !== sizeBytes) {
      throw this.#error(
        'FORMAT_CHECKSUM',
        `says ${listed.size} bytes for ${path}, the tar has ${sizeBytes}`,
        path,
      );
    }
    return listed;
  }

  async *#hashed(
    path: string,
    file: {
      readonly body: AsyncIterable<Uint8Array>;
      readonly checksum: NonNullable<ManifestFile['checksum']>;
    },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const sum = new FileSum(file.checksum.algorithm);
    for await (const chunk of file.body) {
      sum.add(chunk);
      yield chunk;
    }
    this.#compare(path, { found: sum.hex(), checksum: file.checksum });
  }

  #compare(
    path: string,
    sums: { readonly found: string; readonly checksum: NonNullable<ManifestFile['checksum']> },
  ): void {
    const { found, checksum } = sums;
    if (found === checksum.hex) return;
    throw this.#error(
      'FORMAT_CHECKSUM',
      `says ${checksum.algorithm} ${checksum.hex} for ${path}, the tar has ${found}`,
      path,
    );
  }

  #error(
    code: 'FORMAT_INVALID' | 'FORMAT_TRUNCATED' | 'FORMAT_CHECKSUM',
    what: string,
    path?: string,
  ): FormatError {
    return new FormatError({
      code,
      operation: 'compare with manifest',
      message: `${MANIFEST_NAME} of ${this.#url} ${what}; the backup is incomplete or damaged`,
      context: { path },
    });
  }
}

/** A checksum of a manifest, chunk by chunk. */
class FileSum {
  #crc = 0;
  readonly #hash: Hash | undefined;

  constructor(algorithm: ManifestChecksumAlgorithm) {
    this.#hash = algorithm === 'CRC32C' ? undefined : createHash(algorithm.toLowerCase());
  }

  add(chunk: Uint8Array): void {
    if (this.#hash === undefined) this.#crc = crc32c(chunk, this.#crc);
    else this.#hash.update(chunk);
  }

  hex(): string {
    return this.#hash?.digest('hex') ?? formatManifestCrc32c(this.#crc);
  }
}
