import type { ProgressListener, VerifyCollector } from '@neon-snapshot/format-core';
import {
  BlockCache,
  createPageDecompressor,
  decodeValue,
  describeKey,
  isNeonLayerError,
  type LayerEntry,
  LayerFile,
  type PageDecompressor,
  parseKey,
  type StoredLayer,
  willInit,
} from '@neon-snapshot/neon-layer';
import { BLCKSZ, formatLsn, isPostgresFormatError, WalRecordDecoder } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';

export interface VerifyLayersOptions {
  readonly tenantId: string;
  readonly postgresMajor: number;
  readonly collector: VerifyCollector;
  /** Layers that are read side by side. */
  readonly concurrency: number;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes that Neon appends to the page of a commit log segment: the time of its newest commit. */
const CLOG_TIMESTAMP_BYTES = 8;

/** Reads layers from the first block to the last: summary, index, and every value, decoded. */
export async function verifyLayers(
  storage: Storage,
  layers: readonly StoredLayer[],
  options: VerifyLayersOptions,
): Promise<void> {
  for (const name of ['values', 'walRecords']) options.collector.count(name, 0);
  const bytesTotal = layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const check = new LayerCheck(storage, options);
  const waiting = layers.values();
  let [bytesDone, filesDone] = [0, 0];
  const worker = async () => {
    for (const layer of waiting) {
      await check.verify(layer);
      bytesDone += layer.sizeBytes;
      filesDone += 1;
      options.onProgress?.({ phase: 'copy', bytesDone, bytesTotal, filesDone, filesTotal: layers.length });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, options.concurrency) }, worker));
  } finally {
    check.close();
  }
}

class LayerCheck {
  readonly #storage: Storage;
  readonly #options: VerifyLayersOptions;
  readonly #decompressor: PageDecompressor = createPageDecompressor();
  readonly #records: WalRecordDecoder;
  readonly #cache = new BlockCache();

  constructor(storage: Storage, options: VerifyLayersOptions) {
    this.#storage = storage;
    this.#options = options;
    this.#records = new WalRecordDecoder(options.postgresMajor);
  }

  async verify({ objectKey, desc, sizeBytes }: StoredLayer): Promise<void> {
    const { tenantId, collector, signal } = this.#options;
    try {
      const cache = this.#cache;
      const layer = await LayerFile.open(this.#storage, objectKey, {
        desc,
        sizeBytes,
        tenantId,
        cache,
        signal,
      });
      for await (const { entry, blob } of layer.readBlobs(layer.entries(undefined, { signal }), { signal })) {
        collector.count('values');
        this.#verifyValue(layer, entry, blob);
      }
    } catch (error) {
      if (!isNeonLayerError(error)) throw error;
      collector.error({ code: 'LAYER_CORRUPT', path: objectKey, message: error.message });
    }
  }

  close(): void {
    this.#decompressor.close();
  }

  #verifyValue(layer: LayerFile, entry: LayerEntry, blob: Uint8Array): void {
    try {
      const bytes = this.#decompressor.decodeBlob(blob);
      const fault =
        layer.desc.kind === 'image' ? findImageFault(entry, bytes) : this.#findDeltaFault(entry, bytes);
      if (fault !== undefined) this.#report(layer, entry, fault);
    } catch (error) {
      if (!isNeonLayerError(error) && !isPostgresFormatError(error)) throw error;
      this.#report(layer, entry, error.message);
    }
  }

  #findDeltaFault(entry: LayerEntry, bytes: Uint8Array): string | undefined {
    const value = decodeValue(bytes);
    if (entry.willInit && !willInit(value)) return 'the index says that it needs no older state, and it does';
    if (value.kind === 'image') return findImageFault(entry, value.image);
    if (value.record.kind !== 'postgres') return undefined;
    this.#options.collector.count('walRecords');
    this.#records.decode(value.record.record);
    return this.#records.hasValidCrc() ? undefined : 'the CRC of its WAL record is wrong';
  }

  #report(layer: LayerFile, entry: LayerEntry, fault: string): void {
    const { objectKey } = layer;
    this.#options.collector.error({
      code: 'LAYER_VALUE',
      path: objectKey,
      message: `${describeKey(entry.key)} at ${formatLsn(entry.lsn)} in ${objectKey}, byte ${entry.offset}: ${fault}`,
    });
  }
}

function findImageFault({ key }: LayerEntry, { length }: Uint8Array): string | undefined {
  const parsed = parseKey(key);
  const isClog = parsed.kind === 'slru-block' && parsed.slru === 'clog';
  if (parsed.kind !== 'relation-block' && parsed.kind !== 'slru-block') return undefined;
  if (length === BLCKSZ || (isClog && length === BLCKSZ + CLOG_TIMESTAMP_BYTES)) return undefined;
  return `its image has ${length} bytes, a page has ${BLCKSZ}`;
}
