import { type IndexPart, parseIndexPart, parseTenantManifest } from '@neon-snapshot/neon-layer';
import { formatLsn } from '@neon-snapshot/postgres';
import { limitLines } from '../output/dump.ts';
import { formatBytes } from '../output/units.ts';
import type { JsonValue } from '../output/writer.ts';
import type { Inspection, InspectTarget } from './inspection.ts';
import { readWhole } from './open-target.ts';

/** As much as the decoders take. */
const INDEX_BYTES_MAX = 256 * 1024 * 1024;
const MANIFEST_BYTES_MAX = 64 * 1024 * 1024;

/** An `index_part.json`: where the timeline stands and its layers. */
export async function inspectIndexPart(target: InspectTarget): Promise<Inspection> {
  const index = parseIndexPart(await readWhole(target, INDEX_BYTES_MAX));
  const layers = [...index.layers].map(([name, { fileSize, generation, shard }]) => ({
    name,
    sizeBytes: fileSize,
    generation: generation ?? null,
    shard: shard === undefined ? null : `${shard.number} of ${shard.count}`,
  }));
  const bytesTotal = layers.reduce((sum, layer) => sum + layer.sizeBytes, 0);
  return {
    lines: [
      ...indexLines(index),
      `${layers.length} layers, ${formatBytes(bytesTotal)}`,
      ...limitLines(
        layers.map(
          (layer) =>
            `${String(layer.sizeBytes).padStart(12)}  ${layer.name}  generation ${layer.generation ?? 'none'}${layer.shard === null ? '' : `, shard ${layer.shard}`}`,
        ),
        target.limit,
      ),
    ],
    data: {
      ...indexData(index),
      layersTotal: layers.length,
      bytesTotal,
      layers: layers.slice(0, target.limit),
    },
  };
}

/** A tenant manifest: the timelines that are offloaded. */
export async function inspectTenantManifest(target: InspectTarget): Promise<Inspection> {
  const manifest = parseTenantManifest(await readWhole(target, MANIFEST_BYTES_MAX));
  const offloaded = manifest.offloadedTimelines.map((timeline) => ({
    timelineId: timeline.timelineId,
    ancestorTimelineId: timeline.ancestorTimelineId ?? null,
    ancestorRetainLsn:
      timeline.ancestorRetainLsn === undefined ? null : formatLsn(timeline.ancestorRetainLsn),
    archivedAt: timeline.archivedAt,
  }));
  return {
    lines: [
      `version ${manifest.version}, stripe size ${manifest.stripeSize ?? 'unknown'}`,
      `${offloaded.length} offloaded timelines`,
      ...limitLines(
        offloaded.map(
          (timeline) =>
            `${timeline.timelineId}  archived ${timeline.archivedAt}${timeline.ancestorTimelineId === null ? '' : `, branched from ${timeline.ancestorTimelineId} at ${timeline.ancestorRetainLsn ?? 'an unknown LSN'}`}`,
        ),
        target.limit,
      ),
      ...otherFieldLines(manifest.otherFields),
    ],
    data: {
      manifestVersion: manifest.version,
      stripeSize: manifest.stripeSize ?? null,
      offloadedTimelines: offloaded.slice(0, target.limit),
    },
  };
}

function indexLines(index: IndexPart): string[] {
  const { metadata } = index;
  const lsnOf = (value: typeof metadata.prevRecordLsn) =>
    value === undefined ? 'unknown' : formatLsn(value);
  return [
    `version                ${index.version}`,
    `Postgres               ${metadata.postgresMajor}`,
    `disk_consistent_lsn    ${formatLsn(index.diskConsistentLsn)}`,
    `prev_record_lsn        ${lsnOf(metadata.prevRecordLsn)}`,
    `ancestor               ${metadata.ancestorTimelineId === undefined ? 'none' : `${metadata.ancestorTimelineId} at ${formatLsn(metadata.ancestorLsn)}`}`,
    `latest_gc_cutoff_lsn   ${formatLsn(metadata.latestGcCutoffLsn)}`,
    `initdb_lsn             ${formatLsn(metadata.initdbLsn)}`,
    ...(index.deletedAt === undefined ? [] : [`deleted_at             ${index.deletedAt}`]),
    ...(index.archivedAt === undefined ? [] : [`archived_at            ${index.archivedAt}`]),
    ...(index.relSizeMigration === undefined ? [] : [`rel_size_migration     ${index.relSizeMigration}`]),
    ...otherFieldLines(index.otherFields),
  ];
}

function indexData(index: IndexPart): { readonly [key: string]: JsonValue } {
  const { metadata } = index;
  return {
    indexVersion: index.version,
    postgresMajor: metadata.postgresMajor,
    diskConsistentLsn: formatLsn(index.diskConsistentLsn),
    prevRecordLsn: metadata.prevRecordLsn === undefined ? null : formatLsn(metadata.prevRecordLsn),
    ancestorTimelineId: metadata.ancestorTimelineId ?? null,
    ancestorLsn: formatLsn(metadata.ancestorLsn),
    latestGcCutoffLsn: formatLsn(metadata.latestGcCutoffLsn),
    initdbLsn: formatLsn(metadata.initdbLsn),
    deletedAt: index.deletedAt ?? null,
    archivedAt: index.archivedAt ?? null,
  };
}

const OTHER_FIELD_WIDTH = 200;

function otherFieldLines(fields: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(fields).map(([name, value]) => {
    const text = JSON.stringify(value) ?? 'undefined';
    const shown = text.length > OTHER_FIELD_WIDTH ? `${text.slice(0, OTHER_FIELD_WIDTH)}…` : text;
    return `${name.padEnd(22)} ${shown}`;
  });
}
