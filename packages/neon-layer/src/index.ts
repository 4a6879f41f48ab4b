export { type AnnotateLayerOptions, annotateLayer, annotateLayerSummary } from './annotate-layer.ts';
export { auxFileKey } from './aux-file-key.ts';
export { type AuxFile, decodeAuxFiles, encodeAuxFiles } from './aux-file-value.ts';
export {
  BLOB_HEADER_SIZE_MAX,
  type BlobHeader,
  decodeBlobHeader,
  encodePlainBlob,
  writeBlobHeader,
} from './blob.ts';
export { BLOCK_CACHE_BYTES_DEFAULT, BlockCache } from './block-cache.ts';
export { type DeltaEntry, DeltaLayerBuilder, type DeltaLayerOptions } from './delta-layer-builder.ts';
export { describeKey } from './describe-key.ts';
export {
  type DbDirectoryEntry,
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSlruSegmentDirectory,
  decodeTwoPhaseDirectory,
  encodeDbDirectory,
  encodeRelDirectory,
  encodeSlruSegmentDirectory,
  encodeTwoPhaseDirectory,
  type RelDirectoryEntry,
} from './directory.ts';
export { type DiskBtree, DiskBtreeBuilder } from './disk-btree-builder.ts';
export {
  formatGenerationSuffix,
  formatShardIndex,
  formatTenantShardId,
  parseId,
  parseShardIndex,
  parseTenantShardId,
  type ShardIndex,
  type TenantShardId,
  UNSHARDED,
} from './identifiers.ts';
export { type BlobRun, ImageLayerBuilder, type ImageLayerOptions } from './image-layer-builder.ts';
export {
  encodeIndexPart,
  INDEX_BYTES_MAX,
  INDEX_VERSION,
  type IndexPart,
  type LayerMetadata,
  parseIndexPart,
  type RelSizeMigration,
} from './index-part.ts';
export type { JsonObject } from './json-document.ts';
export {
  AUX_FILES_V1_KEY,
  CHECKPOINT_KEY,
  CONTROL_FILE_KEY,
  compareKeys,
  DBDIR_KEY,
  isInheritedKey,
  KEY_MAX,
  KEY_MIN,
  KEY_PREFIX_SIZE,
  KEY_SIZE,
  keyFromHex,
  keyToHex,
  nextKey,
  relBlockKey,
  relDirKey,
  relDirV2Key,
  relMapKey,
  relSizeKey,
  replOriginKey,
  SIZE_KEY_BLOCK,
  SLRU_KINDS,
  SPARSE_KEYS_END,
  SPARSE_KEYS_START,
  slruBlockKey,
  slruDirKey,
  slruSizeKey,
  TWO_PHASE_DIRECTORY_KEY,
  twoPhaseFileKey,
} from './key.ts';
export type { ChainPlace, KeyChain } from './key-chain.ts';
export { isRelationBlockKey, type ParsedKey, parseKey } from './key-kind.ts';
export { intersectRanges, type KeyRange, rangeContains } from './key-range.ts';
export type { BuiltLayer, LayerIdentity } from './layer-assembly.ts';
export type { LayerEntry } from './layer-entry.ts';
export {
  isNeonLayerError,
  NeonLayerError,
  type NeonLayerErrorCode,
  type NeonLayerErrorOptions,
  type NeonLayerOperation,
} from './layer-error.ts';
export { LayerFile, type OpenLayerOptions, type ReadOptions } from './layer-file.ts';
export { BLOB_BYTES_MAX, BLOCK_SIZE, CLOG_PAGE_BYTES_MAX, LAYER_BYTES_MAX } from './layer-format.ts';
export { LayerMap, type LayerSearchResult } from './layer-map.ts';
export {
  formatLayerName,
  isL0,
  keyRangeOf,
  type LayerDesc,
  type LayerObjectName,
  parseLayerName,
  parseLayerObjectName,
} from './layer-name.ts';
export { decodeLayerSummary, type LayerSummary } from './layer-summary.ts';
export { BATCH_PAGES_MAX, type BlobMemory, type PageBatch, type PageRun } from './page-batch.ts';
export {
  blobRoom,
  createPageCompressor,
  type EncodePagesOptions,
  PAGE_BLOB_SIZE_MAX,
  type PageCompressor,
  type PageCompressorOptions,
} from './page-compressor.ts';
export {
  createPageDecompressor,
  type DecodePagesOptions,
  type PageDecompressor,
  type PageDecompressorOptions,
} from './page-decompressor.ts';
export type { RedoFunction, RedoRecord, RedoRequest } from './redo.ts';
export {
  type IndexObjectOptions,
  indexObjectKey,
  initdbObjectKey,
  type LayerObjectOptions,
  lastSegment,
  layerObjectKey,
  manifestObjectKey,
  parseIndexName,
  parseManifestName,
  TENANTS_PREFIX,
  tenantPrefix,
  timelinePrefix,
  timelinesPrefix,
} from './remote-path.ts';
export {
  decodeReplOriginValue,
  decodeSizeValue,
  encodeReplOriginValue,
  encodeSizeValue,
} from './scalar-value.ts';
export { isLocalKey, type Sharding, shardOfKey } from './shard.ts';
export { openShardedView, type ShardedViewOptions } from './sharded-view.ts';
export {
  type GenerationObject,
  type ListingOptions,
  listIndexes,
  listManifests,
  listTenants,
  listTimelines,
} from './storage-listing.ts';
export {
  encodeTenantManifest,
  MANIFEST_BYTES_MAX,
  type OffloadedTimeline,
  parseTenantManifest,
  type TenantManifest,
} from './tenant-manifest.ts';
export { hasPrevRecord, type TimelineMetadata } from './timeline-metadata.ts';
export type { KeyValue, PageReadOptions, TimelineReader } from './timeline-reader.ts';
export {
  firstReadableLsn,
  type LoadTimelineOptions,
  loadManifest,
  loadOwnTimeline,
  loadTimeline,
  type OwnTimeline,
  readIndex,
  type StoredLayer,
  type TimelineSource,
  withAncestors,
} from './timeline-source.ts';
export {
  openTimelineView,
  READ_AHEAD_BYTES_DEFAULT,
  TimelineView,
  type TimelineViewOptions,
} from './timeline-view.ts';
export { decodeValue, decodeValueView, encodeValue, type Value, willInit } from './value.ts';
export type { NeonWalRecord } from './wal-record.ts';
