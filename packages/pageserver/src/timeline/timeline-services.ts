import type { RedoFallback } from '@neon-snapshot/neon-timeline';
import type { Lsn } from '@neon-snapshot/postgres';
import type { LeaseClock } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import type { LayerCache } from '../cache/layer-cache.ts';
import type { PageServerEvent } from '../page-server/events.ts';
import type { PageServerConfig } from '../page-server/options.ts';
import type { WriteGuard } from '../push/write-guard.ts';
import type { MemoryBudget } from './memory-budget.ts';

/** What the timelines of a page server share. */
export interface TimelineServices {
  readonly tenantId: string;
  readonly storage: Storage;
  readonly cache: LayerCache;
  readonly guard: WriteGuard;
  readonly config: PageServerConfig;
  readonly clock: LeaseClock;
  readonly budget: MemoryBudget;
  readonly redoFallback: RedoFallback | undefined;
  /** Garbage collection leaves this LSN of a timeline alone. */
  readonly isPinned: (timelineId: string, lsn: Lsn) => boolean;
  /** The same, and also by the name of a snapshot, which pins it from then on. */
  readonly isKept: (timelineId: string, lsn: Lsn) => boolean | Promise<boolean>;
  readonly emit: (event: PageServerEvent) => void;
}
