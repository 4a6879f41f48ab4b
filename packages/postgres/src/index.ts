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
  formatSlruPath,
  parseSlruPath,
  SLRU_PAGES_PER_SEGMENT,
  type SlruFile,
  type SlruKind,
} from './slru-path.ts';
