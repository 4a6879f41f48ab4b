import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { assertGeneration, formatShardIndex, parseShardIndex, type ShardIndex } from './identifiers.ts';
import { JsonDocument, type JsonObject } from './json-document.ts';
import { parseLayerName } from './layer-name.ts';
import { formatMetadata, parseLsnField, parseMetadata, type TimelineMetadata } from './timeline-metadata.ts';

/** What an index says about one layer. */
export interface LayerMetadata {
  /** The object must have exactly this size. */
  readonly fileSize: number;
  /** Suffix of the object's name; absent for layers from before generations. */
  readonly generation?: number | undefined;
  /** Whose directory the object lies in; absent when not sharded. */
  readonly shard?: ShardIndex | undefined;
}

/** How far the move to the newer relation directory is; absent means `legacy`. */
export type RelSizeMigration = 'legacy' | 'migrating' | 'migrated';

/** An `index_part.json`: the layers of a timeline and where it stands. */
export interface IndexPart {
  /** As read: 0 where there was none. What {@link encodeIndexPart} writes is always {@link INDEX_VERSION}. */
  readonly version: number;
  /** By layer name, in file order. */
  readonly layers: ReadonlyMap<string, LayerMetadata>;
  readonly diskConsistentLsn: Lsn;
  readonly metadata: TimelineMetadata;
  /** Zone-less UTC `YYYY-MM-DDTHH:MM:SS[.fraction]`: the deletion of the timeline has begun. */
  readonly deletedAt?: string | undefined;
  /** Zone-less UTC: not to be used by computes. */
  readonly archivedAt?: string | undefined;
  readonly relSizeMigration?: RelSizeMigration | undefined;
  /** From this LSN on the newer relation directory is the one that counts. */
  readonly relSizeMigratedAt?: Lsn | undefined;
  /** All other fields, as parsed: `lineage`, `gc_blocking`, `import_pgdata` and what this package does not know. */
  readonly otherFields: JsonObject;
}

/** The version that is written; 1 to 15 are known, others are read alike. */
export const INDEX_VERSION = 15;
/** Bytes of an index at most; a layer takes about 200, so this is a million layers. */
export const INDEX_BYTES_MAX = 256 * 1024 * 1024;

const DOCUMENT = new JsonDocument('The index (index_part.json)', 'NEON_LAYER_INVALID_INDEX');
const MIGRATIONS: readonly string[] = ['legacy', 'migrating', 'migrated'] satisfies RelSizeMigration[];
/** Fields that have their place in {@link IndexPart}, and two that went out of use with version 3. */
const NAMED_FIELDS: ReadonlySet<string> = new Set([
  'version',
  'layer_metadata',
  'disk_consistent_lsn',
  'metadata_bytes',
  'metadata',
  'deleted_at',
  'archived_at',
  'rel_size_migration',
  'rel_size_migrated_at',
  'timeline_layers',
  'missing_layers',
]);

/** Reads an index of any version. Throws `NEON_LAYER_INVALID_INDEX`. */
export function parseIndexPart(bytes: Uint8Array): IndexPart {
  const json = DOCUMENT.parse(bytes, INDEX_BYTES_MAX);
  const { version, deleted_at, archived_at, rel_size_migrated_at } = json;
  return {
    version: version === undefined ? 0 : DOCUMENT.integer(version, 'version'),
    layers: parseLayers(DOCUMENT.object(json.layer_metadata, 'layer_metadata')),
    diskConsistentLsn: parseLsnField(DOCUMENT, json.disk_consistent_lsn, 'disk_consistent_lsn'),
    metadata: parseMetadata(DOCUMENT, json.metadata_bytes ?? json.metadata),
    deletedAt: DOCUMENT.optionalString(deleted_at, 'deleted_at'),
    archivedAt: DOCUMENT.optionalString(archived_at, 'archived_at'),
    relSizeMigration: parseMigration(json.rel_size_migration),
    relSizeMigratedAt:
      rel_size_migrated_at === undefined || rel_size_migrated_at === null
        ? undefined
        : parseLsnField(DOCUMENT, rel_size_migrated_at, 'rel_size_migrated_at'),
    otherFields: Object.fromEntries(Object.entries(json).filter(([name]) => !NAMED_FIELDS.has(name))),
  };
}

/** Writes an index of the newest version: the JSON content that Neon writes, with the fields that were only kept. */
export function encodeIndexPart(
  index: Omit<IndexPart, 'version' | 'otherFields'> & Partial<IndexPart>,
): Uint8Array {
  const { deletedAt, archivedAt, relSizeMigration, relSizeMigratedAt } = index;
  return DOCUMENT.encode({
    version: INDEX_VERSION,
    ...(deletedAt === undefined ? {} : { deleted_at: deletedAt }),
    ...(archivedAt === undefined ? {} : { archived_at: archivedAt }),
    layer_metadata: Object.fromEntries(
      [...index.layers].map(([name, layer]) => [name, formatLayerMetadata(layer)]),
    ),
    disk_consistent_lsn: formatLsn(index.diskConsistentLsn),
    metadata_bytes: formatMetadata(index.metadata),
    lineage: {},
    ...(relSizeMigration === undefined ? {} : { rel_size_migration: relSizeMigration }),
    ...(relSizeMigratedAt === undefined ? {} : { rel_size_migrated_at: formatLsn(relSizeMigratedAt) }),
    ...index.otherFields,
  });
}

function parseLayers(json: JsonObject): ReadonlyMap<string, LayerMetadata> {
  const layers = new Map<string, LayerMetadata>();
  for (const [name, value] of Object.entries(json)) {
    DOCUMENT.nested('layer_metadata', () => parseLayerName(name));
    const { file_size, generation, shard } = DOCUMENT.object(value, `layer ${name}`);
    const shardText = DOCUMENT.optionalString(shard, `shard of ${name}`);
    layers.set(name, {
      fileSize: DOCUMENT.integer(file_size, `file_size of ${name}`),
      ...(generation === undefined || generation === null
        ? {}
        : { generation: DOCUMENT.integer(generation, `generation of ${name}`, 0xffff_ffff) }),
      ...(shardText === undefined ? {} : { shard: DOCUMENT.nested(name, () => parseShardIndex(shardText)) }),
    });
  }
  return layers;
}

function formatLayerMetadata({ fileSize, generation, shard }: LayerMetadata): JsonObject {
  return {
    file_size: fileSize,
    ...(generation === undefined ? {} : { generation: assertGeneration(generation) }),
    ...(shard === undefined ? {} : { shard: formatShardIndex(shard) }),
  };
}

function parseMigration(value: unknown): RelSizeMigration | undefined {
  const text = DOCUMENT.optionalString(value, 'rel_size_migration');
  if (text === undefined || MIGRATIONS.includes(text)) return text as RelSizeMigration | undefined;
  return DOCUMENT.fail(`rel_size_migration is ${JSON.stringify(text)}, known are ${MIGRATIONS.join(', ')}`);
}
