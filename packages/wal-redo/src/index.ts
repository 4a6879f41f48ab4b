export { Bytes } from './bytes.ts';
export type { HeapLayout } from './heap-layout.ts';
export { REDO_MAJORS } from './major-differences.ts';
export { applyNeonRecord, type NeonPageRecord } from './neon/neon-record.ts';
export {
  clearVisibilityBits,
  HEAP_BLOCKS_PER_PAGE,
  truncateVisibilityMapPage,
  VISIBILITYMAP_ALL_FROZEN,
  VISIBILITYMAP_ALL_VISIBLE,
  type VisibilityMapTruncation,
  visibilityMapBlock,
  visibilityMapTruncation,
} from './page/visibility-map.ts';
export {
  type PageRecord,
  type PageRequest,
  type ReconstructedPages,
  type ReconstructOptions,
  reconstructPage,
  reconstructPages,
} from './reconstruct-page.ts';
export type { GistTuplesDeleted, RedoSettings } from './redo-context.ts';
export { createRedoEngine, type RedoEngine, type RedoEngineOptions, type RedoLsn } from './redo-engine.ts';
export {
  isRedoError,
  RedoError,
  type RedoErrorCode,
  type RedoErrorContext,
  type RedoErrorOptions,
} from './redo-error.ts';
export { DirectorySource, type WalDirectory, walOfDirectory } from './replay/directory-source.ts';
export { RANGE_BLOCKS } from './replay/page-arena.ts';
export {
  type PageRange,
  PageRanges,
  type PageSource,
  type ReplayShare,
} from './replay/page-ranges.ts';
export { type ReplayCounts, type ReplayWalOptions, replayWal } from './replay/replay-wal.ts';
export {
  type ReplayDirectoryOptions,
  type ReplayedPages,
  replayDirectory,
} from './replay/replay-workers.ts';
export { operationName } from './resource-managers.ts';
export {
  type RelationTruncation,
  relationTruncation,
  type VisibilityClear,
  visibilityClears,
} from './visibility-effects.ts';
