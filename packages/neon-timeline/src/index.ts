export {
  type IngestBackupWalRequest,
  type IngestedBackupWal,
  ingestBackupWal,
} from './backup/ingest-backup-wal.ts';
export type { StoredPages } from './backup/layered-state.ts';
export type { ContentsReader } from './contents/required-values.ts';
export { readTimelineContents, type TimelineContents } from './contents/timeline-contents.ts';
export {
  type RelationFork,
  readTimelineDirectories,
  type TimelineDirectories,
  usesNewRelationDirectory,
} from './contents/timeline-directories.ts';
export {
  type FallbackOptions,
  type FallbackRequest,
  type RedoFallback,
  redoPageWithFallback,
} from './redo/redo-fallback.ts';
export { createTimelineRedo, type PageState, redoPage, redoValue } from './redo/redo-records.ts';
export { createValueRedo, type ValueRedoOptions } from './redo/value-redo.ts';
export { type CheckTailRequest, checkTail, type TailCheck } from './tail/check-tail.ts';
export {
  type AdoptTailRequest,
  adoptTail,
  type LoadTailRequest,
  loadTail,
  type Tail,
} from './tail/load-tail.ts';
export type { LayersEnd } from './tail/select-tail.ts';
export type { TailChunk, TailPlace } from './tail/tail-chunk.ts';
export {
  deleteTailChunks,
  listTail,
  obsoleteTailChunks,
  type PutTailChunkRequest,
  putTailChunk,
  readTailEnd,
  type TailRequest,
} from './tail/tail-objects.ts';
export { formatCommitTime, parseCommitTime } from './time/commit-time.ts';
export { type FindLsnOptions, findLsnAt, type LsnAtTime } from './time/find-lsn-at.ts';
export {
  type LoadTimelineWithTailOptions,
  loadTimelineWithTail,
  type TimelineWithTail,
} from './timeline/load-timeline-with-tail.ts';
export { type OpenTimelineOptions, openTimeline } from './timeline/open-timeline.ts';
export { ReloadingTimeline, type ReloadingTimelineOptions } from './timeline/reloading-timeline.ts';
export {
  isTimelineError,
  TimelineError,
  type TimelineErrorCode,
  type TimelineErrorContext,
  type TimelineErrorOptions,
  type TimelineOperation,
} from './timeline-error.ts';
export {
  type StreamedWalRecord,
  WalStreamDecoder,
  type WalStreamDecoderOptions,
} from './wal/wal-stream-decoder.ts';
