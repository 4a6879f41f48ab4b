import {
  createPageDecompressor,
  decodeLayerSummary,
  decodeValue,
  describeKey,
  keyToHex,
  LayerFile,
  type Value,
} from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { HEAD_BYTES } from '../inspect/inspection.ts';
import { readRange } from '../inspect/open-target.ts';
import type { StreamedItem } from '../output/streamed-result.ts';
import type { JsonValue } from '../output/writer.ts';
import type { RecordDescriber, RecordSize } from './record-facts.ts';
import type { LayerObject } from './wal-object.ts';

/** One value of a delta layer. Its parts are made when they are asked for. */
export interface LayerValue {
  readonly lsn: Lsn;
  /** `Heap`; of what Neon made from a record or instead of one: `Neon`. */
  readonly resourceManager: string;
  size(): RecordSize;
  describe(): StreamedItem;
}

const NEON = 'Neon';

/** Values in (key, LSN) order. A value is valid until the next one is asked for. */
export async function* readLayerValues(
  { storage, key, sizeBytes }: LayerObject,
  { describer, signal }: { readonly describer: RecordDescriber; readonly signal: AbortSignal },
): AsyncGenerator<LayerValue, void, undefined> {
  const head = await readRange({ storage, key, signal }, 0, Math.min(HEAD_BYTES, sizeBytes));
  const { desc, tenantId } = decodeLayerSummary(head, sizeBytes);
  const layer = await LayerFile.open(storage, key, { desc, sizeBytes, tenantId, signal });
  const decompressor = createPageDecompressor();
  try {
    for await (const { entry, blob } of layer.readBlobs(layer.entries(undefined, { signal }), { signal })) {
      const bytes = decompressor.decodeBlob(blob);
      const value = decodeValue(bytes);
      const place = {
        valueBytes: bytes.length,
        lsn: entry.lsn,
        text: `key: ${describeKey(entry.key)}${entry.willInit ? ', will init' : ''}`,
        data: { key: keyToHex(entry.key), keyMeaning: describeKey(entry.key), willInit: entry.willInit },
      };
      yield value.kind === 'record' && value.record.kind === 'postgres'
        ? postgresValue(describer, value.record.record, place)
        : neonValue(value, place);
    }
  } finally {
    decompressor.close();
  }
}

interface ValuePlace {
  readonly lsn: Lsn;
  /** Of the whole value as the layer holds it, decompressed. */
  readonly valueBytes: number;
  readonly text: string;
  readonly data: { readonly [key: string]: JsonValue };
}

function postgresValue(describer: RecordDescriber, record: Uint8Array, place: ValuePlace): LayerValue {
  describer.decode(record);
  return {
    lsn: place.lsn,
    resourceManager: describer.resourceManager,
    size: () => describer.size(),
    describe: () => {
      const { line, value } = describer.describe({ start: undefined, end: place.lsn });
      return { line: `${line}, ${place.text}`, value: { ...value, ...place.data } };
    },
  };
}

/** Records that Neon makes itself, and whole images: without a header of Postgres. */
function neonValue(value: Value, { lsn, text, data, valueBytes }: ValuePlace): LayerValue {
  const record = value.kind === 'image' ? 'image' : value.record.kind;
  const imageBytes = value.kind === 'image' ? value.image.length : 0;
  const recordBytes = valueBytes - imageBytes;
  return {
    lsn,
    resourceManager: NEON,
    size: () => ({ resourceManager: NEON, record, recordBytes, imageBytes }),
    describe: () => ({
      line: `rmgr: ${NEON.padEnd(11)} end: ${formatLsn(lsn)}, desc: ${record}${imageBytes > 0 ? ` of ${imageBytes} bytes` : ''}, ${text}`,
      value: {
        lsn: null,
        endLsn: formatLsn(lsn),
        previous: null,
        resourceManager: NEON,
        record,
        xid: null,
        recordBytes,
        totalBytes: valueBytes,
        blocks: [],
        ...data,
      },
    }),
  };
}
