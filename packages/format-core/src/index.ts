export type {
  Detection,
  FormatCapability,
  FormatContext,
  FormatOptionDescription,
  FormatOptions,
  FormatPlugin,
  FormatServices,
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
export type { ProgressEvent, ProgressListener } from './progress.ts';
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
