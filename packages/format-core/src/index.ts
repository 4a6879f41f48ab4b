export { canonicalOrder, sortCanonically } from './canonical-order.ts';
export { type CheckedPartition, checkedPartition, type PartitionObserver } from './checked-partition.ts';
export { type CopySnapshotOptions, copySnapshot, describeSource } from './copy-snapshot.ts';
export { type ConfigurationFile, defaultConfiguration } from './default-configuration.ts';
export { EntryCounter, type EntryCounts, sameCounts, withEnd } from './entry-count.ts';
export { assertSafeEntryPath } from './entry-path.ts';
export { fileFault } from './file-fault.ts';
export type {
  BackupTrailer,
  Detection,
  FormatCapability,
  FormatContext,
  FormatOptionDescription,
  FormatOptions,
  FormatPlugin,
  FormatServices,
  LiveReadContext,
  ReadContext,
  RecoveredDirectory,
  RecoverRequest,
  SnapshotDescription,
  SnapshotReader,
  SnapshotTrailer,
  SnapshotWriter,
  WriteContext,
  WriteResult,
} from './format.ts';
export { FormatError, type FormatErrorCode, type FormatErrorOptions, isFormatError } from './format-error.ts';
export { assertKnownOptions, booleanOption, listOption, stringOption } from './format-options.ts';
export { createFormatServices } from './format-services.ts';
export { isInitFork, mainForkOfInit } from './init-fork.ts';
export { type CheckedPages, PageCheck } from './page-check.ts';
export { corruptPageError, type PageFault, PageFaultPolicy } from './page-error.ts';
export { type PageRunOptions, pageRuns } from './page-runs.ts';
export type { ProgressEvent, ProgressListener } from './progress.ts';
export { ProgressTracker } from './progress-tracker.ts';
export { releaseChunk, reusableChunk } from './release-chunk.ts';
export { ReusableMemory } from './reusable-memory.ts';
export type {
  DirectoryEntry,
  EndEntry,
  FileEntry,
  LinkEntry,
  PlannedFile,
  SnapshotEntry,
  SnapshotFeatures,
  SnapshotInfo,
  SnapshotPartition,
  Tablespace,
} from './snapshot.ts';
export { encodeSnapshotManifest, type WrittenFile } from './snapshot-manifest.ts';
export { standardDirectories } from './standard-directories.ts';
export type { OpenStockRedoRequest, StockRedo, StockRedoPage, StockRedoPages } from './stock-redo.ts';
export { decodeTrailer, writtenFacts } from './trailer-facts.ts';
export {
  VERIFY_FINDINGS_MAX,
  VerifyCollector,
  type VerifyContext,
  type VerifyFinding,
  type VerifyLevel,
  type VerifyReport,
} from './verification.ts';
export { type VerifyStreamOptions, verifyStream } from './verify-stream.ts';
export type { LeaseRequest, WriteLease } from './write-lease.ts';
