import { formatLsnHex, type Lsn, lsn } from '@neon-snapshot/postgres';
import { invalidName } from './identifiers.ts';
import { compareKeys, KEY_MAX, KEY_MIN, keyFromHex, keyToHex } from './key.ts';
import type { KeyRange } from './key-range.ts';

/*
 * image: <key start>-<key end>__<LSN>
 * delta: <key start>-<key end>__<LSN start>-<LSN end>
 * Keys 36, LSNs 16 upper-case hex digits; both ends exclusive. File and object names may add `-vN` and `-XXXXXXXX` (generation).
 */

/** What a layer's name says. An image layer covers LSN `[lsnStart, lsnEnd)` with `lsnEnd` = `lsnStart` + 1. */
export interface LayerDesc {
  readonly kind: 'image' | 'delta';
  readonly keyStart: Uint8Array;
  /** Exclusive. */
  readonly keyEnd: Uint8Array;
  readonly lsnStart: Lsn;
  /** Exclusive. */
  readonly lsnEnd: Lsn;
}

/** A name with the generation that an object's name carries. */
export interface LayerObjectName {
  readonly desc: LayerDesc;
  /** The name without suffix, as in an index. */
  readonly name: string;
  readonly generation: number | undefined;
}

const NAME_PATTERN =
  /^([0-9A-F]{36})-([0-9A-F]{36})__([0-9A-F]{16})(?:-([0-9A-F]{16}))?(?:-v[0-9])?(?:-([0-9a-fA-F]{8}))?$/;

/** Parses a layer name as it stands in an index: no suffix. Throws `NEON_LAYER_INVALID_NAME`. */
export function parseLayerName(name: string): LayerDesc {
  const parsed = parseLayerObjectName(name);
  if (parsed.name !== name)
    throw invalidName('A layer name in an index has no version and no generation', name);
  return parsed.desc;
}

/** Parses the last segment of a layer's object key, or a local layer file's name. */
export function parseLayerObjectName(fileName: string): LayerObjectName {
  const match = NAME_PATTERN.exec(fileName);
  const [, keyStart, keyEnd, start, end, generation] = match ?? [];
  if (keyStart === undefined || keyEnd === undefined || start === undefined) {
    throw invalidName('A layer is named `KEY-KEY__LSN` or `KEY-KEY__LSN-LSN` in upper-case hex', fileName);
  }
  const lsnStart = lsn(BigInt(`0x${start}`));
  if (end === undefined && start === 'FFFFFFFFFFFFFFFF')
    throw invalidName('An image has an LSN below 2^64-1', fileName);
  const desc: LayerDesc = {
    kind: end === undefined ? 'image' : 'delta',
    keyStart: keyFromHex(keyStart),
    keyEnd: keyFromHex(keyEnd),
    lsnStart,
    lsnEnd: lsn(end === undefined ? lsnStart + 1n : BigInt(`0x${end}`)),
  };
  if (compareKeys(desc.keyStart, desc.keyEnd) >= 0 || desc.lsnStart >= desc.lsnEnd) {
    throw invalidName('Key and LSN ranges of a layer are not empty', fileName);
  }
  return {
    desc,
    name: formatLayerName(desc),
    generation: generation === undefined ? undefined : Number.parseInt(generation, 16),
  };
}

/** The name without suffix. */
export function formatLayerName(desc: LayerDesc): string {
  const keys = `${keyToHex(desc.keyStart)}-${keyToHex(desc.keyEnd)}`;
  const start = formatLsnHex(desc.lsnStart);
  return desc.kind === 'image' ? `${keys}__${start}` : `${keys}__${start}-${formatLsnHex(desc.lsnEnd)}`;
}

/** The keys of a layer as a range. */
export function keyRangeOf(desc: LayerDesc): KeyRange {
  return { start: desc.keyStart, end: desc.keyEnd };
}

/** True for a delta over all keys: what a flush of the in-memory layer makes. */
export function isL0(desc: LayerDesc): boolean {
  return (
    desc.kind === 'delta' &&
    compareKeys(desc.keyStart, KEY_MIN) === 0 &&
    compareKeys(desc.keyEnd, KEY_MAX) === 0
  );
}
