import { NeonLayerError } from './layer-error.ts';

/** 32 lower-case hex digits. */
const ID_PATTERN = /^[0-9a-f]{32}$/;

/** One shard of a tenant's pages. `count` 0: not sharded (number 0 holds everything). */
export interface ShardIndex {
  readonly number: number;
  readonly count: number;
}

/** A tenant and which shard of it. */
export interface TenantShardId {
  /** 32 lower-case hex digits. */
  readonly tenantId: string;
  readonly shard: ShardIndex;
}

/** The normal case: a tenant that is not sharded. */
export const UNSHARDED: ShardIndex = { number: 0, count: 0 };

/** Checks a tenant or timeline id: 32 lower-case hex digits; throws `NEON_LAYER_INVALID_NAME`. */
export function parseId(text: string): string {
  if (!ID_PATTERN.test(text)) throw invalidName('A tenant or timeline id is 32 lower-case hex digits', text);
  return text;
}

/** Bytes of an id. */
export function idToBytes(id: string): Uint8Array {
  return Uint8Array.from(Buffer.from(parseId(id), 'hex'));
}

/** Parses `<tenant>` or `<tenant>-NNCC`. */
export function parseTenantShardId(text: string): TenantShardId {
  const [tenantId = '', shard, ...rest] = text.split('-');
  if (!ID_PATTERN.test(tenantId) || rest.length > 0) {
    throw invalidName('A tenant directory is named `<tenant id>` or `<tenant id>-NNCC`', text);
  }
  return { tenantId, shard: shard === undefined ? UNSHARDED : parseShardIndex(shard) };
}

/** `<tenant>` when not sharded, else `<tenant>-NNCC`. */
export function formatTenantShardId({ tenantId, shard }: TenantShardId): string {
  return shard.count === 0 ? parseId(tenantId) : `${parseId(tenantId)}-${formatShardIndex(shard)}`;
}

/** Parses `NNCC`, the form in an index; the number is below the count. */
export function parseShardIndex(text: string): ShardIndex {
  const match = /^([0-9a-f]{2})([0-9a-f]{2})$/.exec(text);
  const number = Number.parseInt(match?.[1] ?? '', 16);
  const count = Number.parseInt(match?.[2] ?? '', 16);
  if (match === null || number >= Math.max(count, 1)) {
    throw invalidName('A shard is four lower-case hex digits NNCC with NN below CC', text);
  }
  return { number, count };
}

export function formatShardIndex({ number, count }: ShardIndex): string {
  return [number, count].map((part) => part.toString(16).padStart(2, '0')).join('');
}

/** Checks a generation: a u32. */
export function assertGeneration(generation: number): number {
  if (!Number.isInteger(generation) || generation < 0 || generation > 0xffff_ffff) {
    throw invalidName('A generation is a u32', String(generation));
  }
  return generation;
}

/** `-` and 8 lower-case hex digits; empty for objects from before generations. */
export function formatGenerationSuffix(generation: number | undefined): string {
  return generation === undefined ? '' : `-${assertGeneration(generation).toString(16).padStart(8, '0')}`;
}

/** The u32 of 1 to 8 hex digits, or undefined for any other text. */
export function parseGeneration(text: string): number | undefined {
  return /^[0-9a-fA-F]{1,8}$/.test(text) ? Number.parseInt(text, 16) : undefined;
}

/** The error of everything in this package that parses names. */
export function invalidName(rule: string, found: string): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_INVALID_NAME',
    operation: 'parse',
    message: `${rule}; found ${JSON.stringify(found.slice(0, 200))}.`,
  });
}
