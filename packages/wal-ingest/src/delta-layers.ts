import {
  type BuiltLayer,
  compareKeys,
  DeltaLayerBuilder,
  encodeValue,
  KEY_MAX,
  KEY_MIN,
  type LayerIdentity,
  willInit,
} from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn, lsn } from '@neon-snapshot/postgres';
import { IngestError } from './ingest-error.ts';
import type { IngestWrite } from './timeline-state.ts';

/** `checkpoint_distance` of Neon's page server: what it writes into one L0 layer. */
export const DELTA_LAYER_BYTES_DEFAULT: number = 256 * 1024 * 1024;

export interface OpenDeltaOptions extends LayerIdentity {
  /** First LSN that the layer covers: one behind the last of the layer before. */
  readonly lsnStart: Lsn;
}

export interface BuildDeltaLayersOptions extends OpenDeltaOptions {
  /** One behind the last LSN that the last layer covers: `disk_consistent_lsn` + 1. */
  readonly lsnEnd: Lsn;
  /** A layer is ended with the first record that takes its values past this; default {@link DELTA_LAYER_BYTES_DEFAULT}. */
  readonly layerBytesMax?: number | undefined;
}

interface EncodedWrite {
  readonly key: Uint8Array;
  readonly lsn: Lsn;
  readonly value: Uint8Array;
  readonly willInit: boolean;
}

/** An L0 delta layer in the making: takes writes as they come, in memory, and sorts them when it is built. */
export class OpenDelta {
  readonly #options: OpenDeltaOptions;
  readonly #writes: EncodedWrite[] = [];
  #sizeBytes = 0;
  #lsnLast: Lsn;

  constructor(options: OpenDeltaOptions) {
    this.#options = options;
    this.#lsnLast = options.lsnStart;
  }

  /** Bytes of the encoded values so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get writeCount(): number {
    return this.#writes.length;
  }

  /** LSN of the newest write. */
  get lsnLast(): Lsn {
    return this.#lsnLast;
  }

  /** Adds a write; its bytes are copied. LSNs do not descend. Throws `INGEST_OUT_OF_ORDER`. */
  add(write: IngestWrite): void {
    if (write.lsn < this.#lsnLast) throw outOfOrder(write.lsn, this.#lsnLast);
    const value = encodeValue(write.value);
    this.#writes.push({ key: write.key, lsn: write.lsn, value, willInit: willInit(write.value) });
    this.#sizeBytes += value.length;
    this.#lsnLast = write.lsn;
  }

  /** The layer over all keys from `lsnStart` up to but without `lsnEnd`, or undefined where there was no write. */
  build(lsnEnd: Lsn): BuiltLayer | undefined {
    if (this.#writes.length === 0) return undefined;
    const builder = new DeltaLayerBuilder({ ...this.#options, keyStart: KEY_MIN });
    // The sort is stable and LSNs ascend already.
    for (const write of this.#writes.sort((a, b) => compareKeys(a.key, b.key))) builder.append(write);
    return builder.finish({ keyEnd: KEY_MAX, lsnEnd });
  }
}

/**
 * Sorts the writes of an ingest into L0 delta layers, of which each begins where the one before ended; one layer is in memory
 * at a time. A record's writes are never divided. A range without any write gives no layer of its own.
 */
export function* buildDeltaLayers(
  writes: Iterable<IngestWrite>,
  options: BuildDeltaLayersOptions,
): Generator<BuiltLayer, void, undefined> {
  const { lsnEnd, layerBytesMax = DELTA_LAYER_BYTES_DEFAULT } = options;
  let open = new OpenDelta(options);
  for (const write of writes) {
    if (open.sizeBytes > layerBytesMax && write.lsn > open.lsnLast) {
      const lsnCut = lsn(open.lsnLast + 1n);
      const built = open.build(lsnCut);
      if (built !== undefined) yield built;
      open = new OpenDelta({ ...options, lsnStart: lsnCut });
    }
    open.add(write);
  }
  const last = open.build(lsnEnd);
  if (last !== undefined) yield last;
}

function outOfOrder(found: Lsn, last: Lsn): IngestError {
  return new IngestError({
    code: 'INGEST_OUT_OF_ORDER',
    operation: 'build',
    message: `A write at ${formatLsn(found)} came after one at ${formatLsn(last)}; writes come in the order of their LSNs.`,
    context: { lsn: formatLsn(found), lastLsn: formatLsn(last) },
  });
}
