export { annotateControlFile } from './annotate-control-file.ts';
export { type AnnotatePageOptions, annotatePage } from './annotate-page.ts';
export { annotateWalSegment } from './annotate-wal.ts';
export { type Annotation, formatAnnotations } from './annotation.ts';
export {
  BACKUP_LABEL_SIZE_MAX,
  type BackupLabel,
  decodeBackupLabel,
  encodeBackupLabel,
} from './backup-label.ts';
export {
  type BackupManifest,
  BackupManifestWriter,
  type BackupManifestWriterOptions,
  formatManifestCrc32c,
  MANIFEST_SIZE_MAX,
  type ManifestChecksum,
  type ManifestChecksumAlgorithm,
  type ManifestFile,
  type ManifestVersion,
  type ManifestWalRange,
  manifestVersionOf,
  parseBackupManifest,
} from './backup-manifest.ts';
export { CHECK_POINT_SIZE, type CheckPoint, decodeCheckPoint, encodeCheckPoint } from './check-point.ts';
export {
  CLUSTER_STATE,
  type ControlFile,
  clusterStates,
  decodeControlFile,
  encodeControlFile,
} from './control-file.ts';
export { CONTROL_FILE_SIZE, CONTROL_FILE_SIZE_MIN } from './control-file-layout.ts';
export { crc32c } from './crc32c.ts';
export { alignLsn, formatLsn, formatLsnHex, type Lsn, lsn, parseLsn, ZERO_LSN } from './lsn.ts';
export {
  BLCKSZ,
  decodePageHeader,
  findPageHeaderFault,
  isNewPage,
  isZeroPage,
  PAGE_FLAG,
  PAGE_HEADER_SIZE,
  type PageHeader,
  RELSEG_BLOCKS,
} from './page.ts';
export { pageChecksum } from './page-checksum.ts';
export {
  createPageChecksums,
  PAGE_CHECKSUMS_PAGES_MAX,
  type PageChecksums,
  type PageChecksumsOptions,
} from './page-checksums.ts';
export {
  isPostgresFormatError,
  PostgresFormatError,
  type PostgresFormatErrorCode,
  type PostgresFormatErrorContext,
  type PostgresFormatErrorOptions,
} from './postgres-format-error.ts';
export {
  assertPostgresMajor,
  catalogVersionOf,
  controlVersionOf,
  majorOfCatalogVersion,
  majorOfWalPageMagic,
  type PostgresMajor,
  RELMAP_CAPACITY,
  RELMAP_SIZE,
  SUPPORTED_MAJORS,
  tablespaceVersionDirectory,
  WAL_PAGE_MAGIC,
} from './postgres-major.ts';
export { decodeRelationMap, type RelationMapEntry, relationMapCrcOffset } from './relation-map.ts';
export {
  compareRelTags,
  DEFAULT_TABLESPACE_OID,
  type ForkNumber,
  type FormatRelationPathOptions,
  formatRelationPath,
  GLOBAL_TABLESPACE_OID,
  isTempRelationName,
  parseRelationPath,
  type RelationFile,
  type RelTag,
} from './relation-path.ts';
export {
  decodeReplicationOrigins,
  encodeReplicationOrigins,
  REPLICATION_ORIGINS_PATH,
  type ReplicationOrigin,
} from './replication-origins.ts';
export {
  formatSlruPath,
  parseSlruPath,
  SLRU_PAGES_PER_SEGMENT,
  type SlruFile,
  type SlruKind,
} from './slru-path.ts';
export { stockCheckPoint, stockControlFile } from './stock-control-file.ts';
export {
  decodeTablespaceMap,
  encodeTablespaceMap,
  TABLESPACE_MAP_SIZE_MAX,
  type TablespaceMapEntry,
} from './tablespace-map.ts';
export {
  decodeTimelineHistory,
  encodeTimelineHistory,
  TIMELINE_HISTORY_SIZE_MAX,
  type TimelineHistoryEntry,
  timelineHistoryFileName,
} from './timeline-history.ts';
export { decodeTwoPhaseFile, encodeTwoPhaseFile, formatTwoPhasePath } from './two-phase-file.ts';
export {
  type CheckpointRecord,
  type ReadCheckpointRecordOptions,
  readCheckpointRecord,
} from './wal-checkpoint-record.ts';
export {
  buildShutdownCheckpointSegment,
  type ShutdownCheckpoint,
  type ShutdownCheckpointOptions,
  shutDownControlFile,
  type WalSegmentFile,
} from './wal-checkpoint-segment.ts';
export {
  type DecodedWalBlock,
  WAL_BLOCK_ID_MAX,
  WAL_IMAGE_COMPRESSION,
  WalRecordDecoder,
} from './wal-decoder.ts';
export {
  decodeWalPageHeader,
  encodeWalPageHeader,
  findWalPageFault,
  WAL_LONG_HEADER_SIZE,
  WAL_PAGE_FLAG,
  WAL_PAGE_SIZE,
  WAL_SHORT_HEADER_SIZE,
  type WalPageHeader,
  type WalSegmentFacts,
  walPageHeaderSize,
  walRecordStart,
} from './wal-page.ts';
export { type ReadWalRecordsOptions, readWalRecords, type WalEnd } from './wal-reader.ts';
export {
  decodeWalRecord,
  type WalBlockReference,
  type WalPageImage,
  type WalRecordContent,
} from './wal-record.ts';
export type { WalFault, WalRecord, WalSource } from './wal-record-cursor.ts';
export {
  decodeXLogRecordHeader,
  encodeWalRecord,
  WAL_RECORD_HEADER_SIZE,
  WAL_RECORD_SIZE_MAX,
  walRecordCrc,
  type XLogRecordHeader,
} from './wal-record-header.ts';
export { type WalRecordKind, walRecordName } from './wal-record-name.ts';
export { type ScanWalRecordsOptions, WalRecordScanner } from './wal-record-scanner.ts';
export {
  RESOURCE_MANAGER,
  RESOURCE_MANAGER_INFO_MASK,
  resourceManagerName,
  XLOG_INFO,
} from './wal-resource-manager.ts';
export {
  assertWalSegmentSize,
  parseWalSegmentFileName,
  WAL_SEGMENT_SIZE_DEFAULT,
  type WalSegmentName,
  walSegmentFileName,
  walSegmentNumber,
  walSegmentStart,
} from './wal-segment-name.ts';
