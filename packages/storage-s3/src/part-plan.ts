/** Parts of one multipart upload, S3's limit. */
export const PARTS_MAX = 10_000;
/** A body of unknown size doubles its part size every so many parts. */
const PARTS_PER_STEP = 1000;
/** A part must fit one buffer. */
const PART_SIZE_MAX_BYTES = 512 * 2 ** 20;
const MIB = 2 ** 20;

/** Size of each part, by its index from 0. */
export type PartPlan = (index: number) => number;

/**
 * Part sizes for a body. Of known size: all alike, as small as the base unless 10,000 of them would not do. Of unknown
 * size: the base for the first 1000 parts, doubled every 1000 parts up to 512 MiB, which ends at about 2.5 TiB with the
 * default base.
 */
export function planParts(baseSizeBytes: number, sizeBytes: number | undefined): PartPlan {
  if (sizeBytes === undefined)
    return (index) =>
      Math.min(
        baseSizeBytes * 2 ** Math.floor(index / PARTS_PER_STEP),
        Math.max(PART_SIZE_MAX_BYTES, baseSizeBytes),
      );
  const needed = Math.ceil(sizeBytes / PARTS_MAX / MIB) * MIB;
  const size = Math.max(baseSizeBytes, needed);
  return () => size;
}
