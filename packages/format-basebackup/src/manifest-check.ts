import { createHash, type Hash } from 'node:crypto';
import { type FileEntry, FormatError } from '@neon-snapshot/format-core';
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

/** The body of a file that is checked, and its CRC-32C where that was taken of it. */
export type CheckedBody = Pick<FileEntry, 'body' | 'crc32c'>;

/** What is asked of the files of a backup as they pass. */
export interface FileChecks {
  /** The body; it fails at its end where the file is not what it should be. Throws at once for one that should not be there. */
  checked(
    path: string,
    file: { readonly sizeBytes: number; readonly body: AsyncIterable<Uint8Array> },
  ): CheckedBody;
  /** The same for a whole file in memory. */
  assertBytes(path: string, bytes: Uint8Array): void;
}

/** A difference between a backup and its manifest. `what` is said of the manifest; `FILE_TWICE` of the backup. */
export interface ManifestFault {
  readonly code: 'FILE_MISSING' | 'FILE_SIZE' | 'FILE_CHECKSUM' | 'FILE_EXTRA' | 'FILE_TWICE';
  readonly path: string;
  readonly what: string;
}

const CODE_OF = {
  FILE_MISSING: 'FORMAT_TRUNCATED',
  FILE_SIZE: 'FORMAT_CHECKSUM',
  FILE_CHECKSUM: 'FORMAT_CHECKSUM',
  FILE_EXTRA: 'FORMAT_INVALID',
  FILE_TWICE: 'FORMAT_INVALID',
} as const;

export interface ManifestCheckOptions {
  readonly url: string;
  /** Takes differences, to go on behind them; where it is absent the first one is thrown. */
  readonly onFault?: ((fault: ManifestFault) => void) | undefined;
}

/** Holds the files of a backup against its manifest as they pass, and each path against coming twice. */
export class ManifestCheck implements FileChecks {
  readonly #listed: Map<string, ManifestFile> | undefined;
  readonly #seen = new Set<string>();
  readonly #url: string;
  readonly #onFault: (fault: ManifestFault) => void;

  constructor(manifest: BackupManifest | undefined, options: ManifestCheckOptions) {
    this.#url = options.url;
    this.#onFault =
      options.onFault ??
      ((fault) => {
        throw this.#error(fault);
      });
    if (manifest === undefined) return;
    this.#listed = new Map(manifest.files.map((file) => [file.path, file]));
    if (this.#listed.size === manifest.files.length) return;
    this.#onFault({ code: 'FILE_TWICE', path: MANIFEST_NAME, what: 'lists a file twice' });
  }

  checked(
    path: string,
    { sizeBytes, body }: { readonly sizeBytes: number; readonly body: AsyncIterable<Uint8Array> },
  ): CheckedBody {
    const { checksum } = this.#claim(path, sizeBytes) ?? {};
    if (checksum === undefined) return { body };
    const sum = new FileSum(checksum.algorithm);
    const hashed = this.#hashed(path, { body, checksum, sum });
    return checksum.algorithm === 'CRC32C' ? { body: hashed, crc32c: () => sum.crc32c } : { body: hashed };
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
      this.#onFault({ code: 'FILE_MISSING', path, what: `lists ${path}, which is in no tar` });
    }
  }

  #claim(path: string, sizeBytes: number): ManifestFile | undefined {
    if (this.#seen.has(path)) {
      this.#onFault({ code: 'FILE_TWICE', path, what: `has ${path} twice, in one tar or in two` });
      return undefined;
    }
    this.#seen.add(path);
    if (this.#listed === undefined || NOT_COMPARED.has(path)) return undefined;
    const listed = this.#listed.get(path);
    if (listed === undefined) {
      if (path.startsWith(`${WAL_DIRECTORY}/`)) return undefined;
      this.#onFault({ code: 'FILE_EXTRA', path, what: `does not list ${path}, which is in a tar` });
      return undefined;
    }
    if (listed.size !== sizeBytes) {
      const what = `says ${listed.size} bytes for ${path}, the tar has ${sizeBytes}`;
      this.#onFault({ code: 'FILE_SIZE', path, what });
      return undefined;
    }
    return listed;
  }

  async *#hashed(
    path: string,
    file: {
      readonly body: AsyncIterable<Uint8Array>;
      readonly checksum: NonNullable<ManifestFile['checksum']>;
      readonly sum: FileSum;
    },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of file.body) {
      file.sum.add(chunk);
      yield chunk;
    }
    this.#compare(path, { found: file.sum.hex(), checksum: file.checksum });
  }

  #compare(
    path: string,
    sums: { readonly found: string; readonly checksum: NonNullable<ManifestFile['checksum']> },
  ): void {
    const { found, checksum } = sums;
    if (found === checksum.hex) return;
    const what = `says ${checksum.algorithm} ${checksum.hex} for ${path}, the tar has ${found}`;
    this.#onFault({ code: 'FILE_CHECKSUM', path, what });
  }

  #error({ code, path, what }: ManifestFault): FormatError {
    const message =
      code === 'FILE_TWICE' && path !== MANIFEST_NAME
        ? `${this.#url} ${what}`
        : `${MANIFEST_NAME} of ${this.#url} ${what}; the backup is incomplete or damaged`;
    return new FormatError({
      code: CODE_OF[code],
      operation: 'compare with manifest',
      message,
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

  /** Of that algorithm. */
  get crc32c(): number {
    return this.#crc;
  }

  add(chunk: Uint8Array): void {
    if (this.#hash === undefined) this.#crc = crc32c(chunk, this.#crc);
    else this.#hash.update(chunk);
  }

  hex(): string {
    return this.#hash?.digest('hex') ?? formatManifestCrc32c(this.#crc);
  }
}
