/*
 * Names of raw WAL in storage:
 *   neon-snapshot/<tenant>/wal/<timeline>/<start 16 HEX>-<end 16 HEX>-<generation 8 hex>
 * A chunk holds the bytes [start, end) of a timeline's WAL as a walsender sends them, page headers included, and never
 * changes. The generation is that of its writer's lease.
 */
import { formatGenerationSuffix, parseId } from '@neon-snapshot/neon-layer';
import { formatLsnHex, type Lsn, lsn } from '@neon-snapshot/postgres';

export interface TailPlace {
  /** 32 lower-case hex digits. */
  readonly tenantId: string;
  readonly timelineId: string;
}

export interface TailChunk {
  readonly key: string;
  readonly start: Lsn;
  readonly end: Lsn;
  readonly generation: number;
  readonly sizeBytes: number;
}

const NAME = /^([0-9A-F]{16})-([0-9A-F]{16})-([0-9a-f]{8})$/;

/** Prefix of all chunks of a timeline. */
export function tailPrefix({ tenantId, timelineId }: TailPlace): string {
  return `neon-snapshot/${parseId(tenantId)}/wal/${parseId(timelineId)}/`;
}

/** The chunk of `sizeBytes` bytes from `start` on. Throws for a generation outside of u32. */
export function tailChunk(
  place: TailPlace,
  of: { readonly start: Lsn; readonly sizeBytes: number; readonly generation: number },
): TailChunk {
  const { start, sizeBytes, generation } = of;
  const end = lsn(start + BigInt(sizeBytes));
  const suffix = formatGenerationSuffix(generation);
  const key = `${tailPrefix(place)}${formatLsnHex(start)}-${formatLsnHex(end)}${suffix}`;
  return { key, start, end, generation, sizeBytes };
}

/** What an object is by its key; undefined for one that is no chunk, or not of the size that its name says. */
export function parseTailChunk(key: string, sizeBytes: number): TailChunk | undefined {
  const match = NAME.exec(key.slice(key.lastIndexOf('/') + 1));
  if (match === null) return undefined;
  const [, first = '', last = '', generation = ''] = match;
  const start = lsn(BigInt(`0x${first}`));
  const end = lsn(BigInt(`0x${last}`));
  if (end <= start || end - start !== BigInt(sizeBytes)) return undefined;
  return { key, start, end, generation: Number.parseInt(generation, 16), sizeBytes };
}
