import type { RedoFallback } from '@neon-snapshot/neon-timeline';
import type { LeaseClock, WriterLease } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import type { PageServerEvent } from './events.ts';

/** Whether Postgres' commit waits until the storage has it. */
export type Durability = 'local' | 'remote';

export interface PageServerOptions {
  /** Where the tenant lies. Calls are repeated for ever by the page server itself: one without long retries of its own. Stays the caller's. */
  readonly storage: Storage;
  /** 32 lower-case hex digits. */
  readonly tenantId: string;
  /** The right to write the tenant, by `acquireLease` with `onExpiry: 'wait'`. Released by `close`. */
  readonly lease: WriterLease;
  /** The repository's `.neon`: holds the cache and the WAL sources. */
  readonly stateDirectory: string;
  /** Default `local`. */
  readonly durability?: Durability | undefined;
  /** How often raw WAL goes to the storage with `local`; with `remote` it goes at once. Default 1 s. */
  readonly pushIntervalMs?: number | undefined;
  /** How often layers and an index are pushed while there is something new. Default 30 s. */
  readonly layerIntervalMs?: number | undefined;
  /** WAL in memory at which layers are pushed before that. Default 64 MiB. */
  readonly layerBytesMax?: number | undefined;
  /** Local copies of layers. Default 10 GiB. */
  readonly cacheBytesMax?: number | undefined;
  /** WAL and values in memory at which no more WAL is taken. Default 256 MiB. */
  readonly memoryBytesMax?: number | undefined;
  /** How far back every LSN stays readable. Default 7 days. */
  readonly pitrIntervalMs?: number | undefined;
  /** How long an object stays that no index lists any more. Default 1 h. */
  readonly gcGraceMs?: number | undefined;
  /** For records that redo does not know: they are replayed by a stock Postgres. */
  readonly redoFallback?: RedoFallback | undefined;
  readonly clock?: LeaseClock | undefined;
  /** Told what happens; must not throw. */
  readonly onEvent?: ((event: PageServerEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** {@link PageServerOptions} with every default filled in. */
export interface PageServerConfig {
  readonly durability: Durability;
  readonly pushIntervalMs: number;
  readonly layerIntervalMs: number;
  readonly layerBytesMax: number;
  readonly cacheBytesMax: number;
  readonly memoryBytesMax: number;
  readonly pitrIntervalMs: number;
  readonly gcGraceMs: number;
}

const MIB = 1024 * 1024;
const DEFAULTS: PageServerConfig = {
  durability: 'local',
  pushIntervalMs: 1_000,
  layerIntervalMs: 30_000,
  layerBytesMax: 64 * MIB,
  cacheBytesMax: 10 * 1024 * MIB,
  memoryBytesMax: 256 * MIB,
  pitrIntervalMs: 7 * 24 * 3_600_000,
  gcGraceMs: 3_600_000,
};

export function resolvePageServerConfig(options: Partial<PageServerOptions>): PageServerConfig {
  return {
    durability: options.durability ?? DEFAULTS.durability,
    pushIntervalMs: options.pushIntervalMs ?? DEFAULTS.pushIntervalMs,
    layerIntervalMs: options.layerIntervalMs ?? DEFAULTS.layerIntervalMs,
    layerBytesMax: options.layerBytesMax ?? DEFAULTS.layerBytesMax,
    cacheBytesMax: options.cacheBytesMax ?? DEFAULTS.cacheBytesMax,
    memoryBytesMax: options.memoryBytesMax ?? DEFAULTS.memoryBytesMax,
    pitrIntervalMs: options.pitrIntervalMs ?? DEFAULTS.pitrIntervalMs,
    gcGraceMs: options.gcGraceMs ?? DEFAULTS.gcGraceMs,
  };
}
