export {
  type DeletionPlan,
  executeDeletion,
  planTenantDeletion,
  planTimelineDeletion,
  type TimelineDeletionRequest,
} from './catalog/deletion.ts';
export type { CatalogOptions } from './catalog/tenant-tree.ts';
export {
  listTenantIds,
  listTimelines,
  type TimelineIndexFacts,
  type TimelineListing,
  type TimelineState,
} from './catalog/timelines.ts';
export { type InitdbArchiveRequest, writeInitdbArchive } from './initdb-archive.ts';
export type { ChangedRange, PageEffect } from './page-history/page-effect.ts';
export {
  type HistoryStep,
  type PageHistory,
  type PageHistoryRequest,
  readPageHistory,
} from './page-history/page-history.ts';
export { plugin } from './plugin.ts';
