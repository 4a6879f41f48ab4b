/** When a timeline's layers are compacted and collected. Sizes are of stored bytes. */
export interface MaintenanceSettings {
  /** L0 layers that are merged at once: at least (Neon's `compaction_threshold`) and at most. */
  readonly l0CountMin: number;
  readonly l0CountMax: number;
  /** LSN ranges of small L1 layers that are merged at once, at least and at most. */
  readonly l1CountMin: number;
  readonly l1CountMax: number;
  /** LSN ranges whose layers are larger together are not merged again. */
  readonly l1SmallBytesMax: number;
  /** What one merge reads at most. */
  readonly mergeBytesMax: number;
  /** Target of L1 layers (Neon's `compaction_target_size`): so much is in memory. */
  readonly l1BytesMax: number;
  /** Delta layers above an image at which a new one is looked at (Neon's `image_creation_threshold`). */
  readonly imageDeltasMin: number;
  /** So many are a reason by themselves. */
  readonly imageDeltasMax: number;
  /** Changes, as a part of the bytes of all pages there, that are a reason before that. */
  readonly imageChangedRatio: number;
  /** Bytes of pages that get images together. */
  readonly partitionBytes: number;
  readonly imageBytesMax: number;
  /** How often garbage is looked for (Neon's `gc_period`). */
  readonly gcPeriodMs: number;
  /** WAL behind the end that stays readable however old it is (Neon's `gc_horizon`). */
  readonly gcHorizonBytes: number;
}

const MIB = 1024 * 1024;

export const MAINTENANCE_DEFAULTS: MaintenanceSettings = {
  l0CountMin: 10,
  l0CountMax: 20,
  l1CountMin: 10,
  l1CountMax: 20,
  l1SmallBytesMax: 128 * MIB,
  mergeBytesMax: 2048 * MIB,
  l1BytesMax: 128 * MIB,
  imageDeltasMin: 3,
  imageDeltasMax: 24,
  imageChangedRatio: 0.1,
  partitionBytes: 128 * MIB,
  imageBytesMax: 32 * MIB,
  gcPeriodMs: 3_600_000,
  gcHorizonBytes: 64 * MIB,
};
