export {
  type FallbackOptions,
  type FallbackRequest,
  type RedoFallback,
  redoPageWithFallback,
} from './redo/redo-fallback.ts';
export { createTimelineRedo, type PageState, redoPage, redoValue } from './redo/redo-records.ts';
export { createValueRedo, type ValueRedoOptions } from './redo/value-redo.ts';
export {
  type AdoptTailRequest,
  adoptTail,
  type LoadTailRequest,
  loadTail,
  type Tail,
} from './tail/load-tail.ts';
export type { TailChunk, TailPlace } from './tail/tail-chunk.ts';
export {
  deleteTailChunks,
  listTail,
  obsoleteTailChunks,
  type PutTailChunkRequest,
  putTailChunk,
  type TailRequest,
} from './tail/tail-objects.ts';
export { formatCommitTime, parseCommitTime } from './time/commit-time.ts';
export { type FindLsnOptions, findLsnAt, type LsnAtTime } from './time/find-lsn-at.ts';
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
