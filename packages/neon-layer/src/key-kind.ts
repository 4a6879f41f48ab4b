import type { RelTag, SlruKind } from '@neon-snapshot/postgres';
import { fieldsOfKey, type KeyFields, SIZE_KEY_BLOCK, SLRU_KINDS } from './key.ts';

/** What a key stands for. */
export type ParsedKey =
  | { readonly kind: 'db-directory' }
  | { readonly kind: 'relation-map'; readonly spcNode: number; readonly dbNode: number }
  | { readonly kind: 'relation-directory'; readonly spcNode: number; readonly dbNode: number }
  | { readonly kind: 'relation-block'; readonly tag: RelTag; readonly blockNumber: number }
  | { readonly kind: 'relation-size'; readonly tag: RelTag }
  | { readonly kind: 'slru-directory'; readonly slru: SlruKind }
  | {
      readonly kind: 'slru-block';
      readonly slru: SlruKind;
      readonly segno: number;
      readonly blockNumber: number;
    }
  | { readonly kind: 'slru-size'; readonly slru: SlruKind; readonly segno: number }
  | { readonly kind: 'two-phase-directory' }
  | { readonly kind: 'two-phase-file'; readonly xid: bigint }
  | { readonly kind: 'control-file' }
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'aux-files-v1' }
  | { readonly kind: 'aux-file' }
  | { readonly kind: 'replication-origin'; readonly originId: number }
  | { readonly kind: 'relation-directory-v2'; readonly tag: RelTag }
  | { readonly kind: 'unknown' };

const UNKNOWN = { kind: 'unknown' } as const;
const CONTROL_KINDS = [{ kind: 'control-file' }, { kind: 'checkpoint' }, { kind: 'aux-files-v1' }] as const;

/** Tells what a key stands for; a key that no known kind covers is `unknown`, never an error. */
export function parseKey(key: Uint8Array): ParsedKey {
  const fields = fieldsOfKey(key);
  switch (fields[0]) {
    case 0x00:
      return parseRelationKey(fields);
    case 0x01:
      return parseSlruKey(fields);
    case 0x02:
      return parseTwoPhaseKey(fields);
    case 0x03:
      return isZero(fields, 1, 5) ? (CONTROL_KINDS[fields[5]] ?? UNKNOWN) : UNKNOWN;
    case 0x62:
      return { kind: 'aux-file' };
    case 0x63:
      return isZero(fields, 1, 5) ? { kind: 'replication-origin', originId: fields[5] } : UNKNOWN;
    case 0x65:
      return parseRelationDirectoryV2Key(fields);
    default:
      return UNKNOWN;
  }
}

/** True for a page of a relation: the only keys that shards divide among each other. */
export function isRelationBlockKey(key: Uint8Array): boolean {
  const [kind, , , relNode, , blockNumber] = fieldsOfKey(key);
  return kind === 0 && relNode !== 0 && blockNumber !== SIZE_KEY_BLOCK;
}

function parseRelationKey(fields: KeyFields): ParsedKey {
  const [, spcNode, dbNode, relNode, forkNum, last] = fields;
  if (isZero(fields, 1, 6)) return { kind: 'db-directory' };
  if (relNode === 0) {
    if (forkNum !== 0 || last > 1) return UNKNOWN;
    return { kind: last === 0 ? 'relation-map' : 'relation-directory', spcNode, dbNode };
  }
  const tag = relTagOf(fields);
  if (tag === undefined) return UNKNOWN;
  if (last === SIZE_KEY_BLOCK) return { kind: 'relation-size', tag };
  return { kind: 'relation-block', tag, blockNumber: last };
}

function parseSlruKey([, number, isSegment, segno, , last]: KeyFields): ParsedKey {
  const slru = SLRU_KINDS[number];
  if (slru === undefined || isSegment > 1) return UNKNOWN;
  if (isSegment === 0) return segno === 0 && last === 0 ? { kind: 'slru-directory', slru } : UNKNOWN;
  if (last === SIZE_KEY_BLOCK) return { kind: 'slru-size', slru, segno };
  return { kind: 'slru-block', slru, segno, blockNumber: last };
}

function parseTwoPhaseKey([, field2, field3, high, middle, low]: KeyFields): ParsedKey {
  if (field2 !== 0 || field3 !== 0 || high > 0xff_ffff) return UNKNOWN;
  const xid = (BigInt(high) << 40n) | (BigInt(middle) << 32n) | BigInt(low);
  return xid === 0n ? { kind: 'two-phase-directory' } : { kind: 'two-phase-file', xid };
}

function parseRelationDirectoryV2Key(fields: KeyFields): ParsedKey {
  const tag = relTagOf(fields);
  return tag === undefined || fields[5] !== 1 ? UNKNOWN : { kind: 'relation-directory-v2', tag };
}

function relTagOf([, spcNode, dbNode, relNode, forkNum]: KeyFields): RelTag | undefined {
  if (forkNum !== 0 && forkNum !== 1 && forkNum !== 2 && forkNum !== 3) return undefined;
  return { spcNode, dbNode, relNode, forkNum };
}

function isZero(fields: KeyFields, start: number, end: number): boolean {
  return fields.slice(start, end).every((field) => field === 0);
}
