export { GAP_BLOCKS_DEFAULT } from './block-references.ts';
export {
  type BuildDeltaLayersOptions,
  buildDeltaLayers,
  DELTA_LAYER_BYTES_DEFAULT,
  OpenDelta,
  type OpenDeltaOptions,
} from './delta-layers.ts';
export { convertHeapRecord } from './heap-conversion.ts';
export type { HeapLayout } from './heap-layout.ts';
export {
  IngestError,
  type IngestErrorCode,
  type IngestErrorContext,
  type IngestErrorOptions,
  type IngestOperation,
  isIngestError,
} from './ingest-error.ts';
export { MemoryTimeline, type MemoryTimelineOptions } from './memory-timeline.ts';
export { NEON_RESOURCE_MANAGER } from './rmgr/neon.ts';
export type { IngestSink, IngestWrite, TimelineState } from './timeline-state.ts';
export { type IngestRecord, WalIngest, type WalIngestOptions } from './wal-ingest.ts';
