import {
  annotateLayerSummary,
  createPageDecompressor,
  decodeLayerSummary,
  decodeValue,
  keyToHex,
  type LayerEntry,
  LayerFile,
  type NeonWalRecord,
  parseKey,
} from '@neon-snapshot/neon-layer';
import {
  decodeXLogRecordHeader,
  formatAnnotations,
  formatLsn,
  isPostgresFormatError,
  resourceManagerName,
} from '@neon-snapshot/postgres';
import type { Inspection, InspectTarget } from './inspection.ts';

interface ShownEntry {
  readonly key: string;
  readonly meaning: string;
  readonly lsn: string;
  readonly offset: number;
  readonly storedBytes: number;
  readonly value: string;
}

/** A layer file: its summary block, and the first `--limit` values with key, LSN and place. */
export async function inspectLayer(target: InspectTarget): Promise<Inspection> {
  const { storage, key, sizeBytes, head, signal, limit } = target;
  const summary = decodeLayerSummary(head, sizeBytes);
  const layer = await LayerFile.open(storage, key, {
    desc: summary.desc,
    sizeBytes,
    tenantId: summary.tenantId,
    signal,
  });
  const entries: LayerEntry[] = [];
  let isCut = false;
  for await (const entry of layer.entries(undefined, { signal })) {
    isCut = entries.length >= limit;
    if (isCut) break;
    entries.push(entry);
  }
  const shown = await describeEntries(layer, entries, signal);
  const fields = annotateLayerSummary(head, sizeBytes);
  return {
    lines: [
      ...formatAnnotations(head, fields),
      `index of ${sizeBytes / BLOCK_BYTES - summary.indexStartBlock} blocks behind ${summary.indexStartBlock} blocks of values`,
      ...shown.map(entryLine),
      ...(isCut ? [`… more values (--limit=${limit})`] : []),
    ],
    data: {
      layerKind: summary.desc.kind,
      fields: fields.map(({ offset, length, name, value }) => ({ offset, length, name, value })),
      entries: shown.map((entry) => ({ ...entry })),
      complete: !isCut,
    },
  };
}

const BLOCK_BYTES = 8192;

function entryLine(entry: ShownEntry): string {
  return `${entry.offset.toString(16).padStart(8, '0')}  ${entry.key}  ${entry.lsn}  ${entry.meaning}: ${entry.value}, ${entry.storedBytes} bytes stored`;
}

async function describeEntries(
  layer: LayerFile,
  entries: readonly LayerEntry[],
  signal: AbortSignal,
): Promise<ShownEntry[]> {
  const decompressor = createPageDecompressor();
  const shown: ShownEntry[] = [];
  try {
    for await (const { entry, blob } of layer.readBlobs(entries, { signal })) {
      shown.push(describeEntry(layer.desc.kind, entry, decompressor.decodeBlob(blob)));
    }
    return shown;
  } finally {
    decompressor.close();
  }
}

function describeEntry(kind: LayerFile['desc']['kind'], entry: LayerEntry, value: Uint8Array): ShownEntry {
  return {
    key: keyToHex(entry.key),
    meaning: keyMeaning(entry.key),
    lsn: formatLsn(entry.lsn),
    offset: entry.offset,
    storedBytes: entry.length,
    value: kind === 'image' ? `image of ${value.length} bytes` : describeDelta(value, entry.willInit),
  };
}

function keyMeaning(key: Uint8Array): string {
  const { kind, ...parts } = parseKey(key);
  const facts = Object.entries(parts).map(([name, value]) => `${name} ${formatPart(value)}`);
  return [kind, ...facts].join(' ');
}

function formatPart(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.values(value).join('/');
}

function describeDelta(bytes: Uint8Array, isInit: boolean): string {
  const value = decodeValue(bytes);
  const text = value.kind === 'image' ? `image of ${value.image.length} bytes` : describeRecord(value.record);
  return isInit ? `${text} (will init)` : text;
}

function describeRecord(record: NeonWalRecord): string {
  if (record.kind !== 'postgres') return record.kind;
  try {
    const header = decodeXLogRecordHeader(record.record);
    const manager = resourceManagerName(header.resourceManager) ?? String(header.resourceManager);
    return `WAL record ${manager} info 0x${header.info.toString(16)}, ${record.record.length} bytes`;
  } catch (error) {
    if (!isPostgresFormatError(error)) throw error;
    return `WAL record that does not decode: ${error.message}`;
  }
}
