import { createHash } from 'node:crypto';
import { type FormatServices, releaseChunk, type VerifyCollector } from '@neon-snapshot/format-core';
import {
  type BackupManifest,
  crc32c,
  formatManifestCrc32c,
  type ManifestChecksum,
  type ManifestChecksumAlgorithm,
} from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { MANIFEST_PATH, WAL_DIRECTORY } from './data-directory-layout.ts';
import { disposeAll, readSourceTree, type SourceFile } from './source-tree.ts';

export interface ManifestCheckOptions {
  readonly storage: Storage;
  readonly services: FormatServices;
  readonly postgresMajor: number;
  readonly collector: VerifyCollector;
  readonly signal?: AbortSignal | undefined;
}

/** Files that pg_verifybackup does not look for in a manifest either. */
const NOT_LISTED = new Set([MANIFEST_PATH, 'postgresql.auto.conf', 'standby.signal', 'recovery.signal']);

/** Compares the files of a data directory with its manifest, as `pg_verifybackup` does but for WAL. */
export class ManifestCheck {
  readonly #options: ManifestCheckOptions;

  constructor(options: ManifestCheckOptions) {
    this.#options = options;
  }

  async run(manifest: BackupManifest): Promise<void> {
    const { collector } = this.#options;
    const tree = await readSourceTree(this.#options);
    try {
      const found = new Map(tree.files.map((file) => [file.path, file]));
      for (const { path, size, checksum } of manifest.files) {
        collector.count('manifestFiles');
        const file = found.get(path);
        found.delete(path);
        if (file === undefined) {
          collector.error({
            code: 'FILE_MISSING',
            path,
            message: `${path} is in the manifest and is not there`,
          });
        } else if (file.sizeBytes !== size) {
          const message = `${path} has ${file.sizeBytes} bytes, the manifest says ${size}`;
          collector.error({ code: 'FILE_SIZE', path, message });
        } else if (checksum !== undefined) await this.#compare(file, checksum);
      }
      for (const path of found.keys()) {
        if (NOT_LISTED.has(path) || path.startsWith(`${WAL_DIRECTORY}/`)) continue;
        collector.warning({ code: 'FILE_EXTRA', path, message: `${path} is not in the manifest` });
      }
    } finally {
      await disposeAll(tree.linkedStorages);
    }
  }

  async #compare({ storage, key, path }: SourceFile, { algorithm, hex }: ManifestChecksum): Promise<void> {
    const { body } = await storage.get(key, { signal: this.#options.signal });
    const computed = await hashOf(body, algorithm);
    if (computed === hex) return;
    this.#options.collector.error({
      code: 'FILE_CHECKSUM',
      path,
      message: `${path} has ${algorithm} ${computed}, the manifest says ${hex}`,
    });
  }
}

async function hashOf(
  body: AsyncIterable<Uint8Array>,
  algorithm: ManifestChecksumAlgorithm,
): Promise<string> {
  if (algorithm === 'CRC32C') {
    let crc = 0;
    for await (const chunk of body) {
      crc = crc32c(chunk, crc);
      releaseChunk(chunk);
    }
    return formatManifestCrc32c(crc);
  }
  const hash = createHash(algorithm.toLowerCase());
  for await (const chunk of body) {
    hash.update(chunk);
    releaseChunk(chunk);
  }
  return hash.digest('hex');
}
