/**
 * `neon-snapshot/<tenant>/refs/branches/NAME.json` and `…/refs/snapshots/NAME.json`: names of timelines and of pinned LSNs. JSON, version 1;
 * documented in docs/storage-layout.md.
 *
 *     version       1
 *     ref_id        random, new with every change: tells a put whose answer was lost from somebody else's
 *     timeline_id   32 lower-case hex digits
 *     lsn           snapshots only: `HI/LO`
 *     created_at    ISO 8601, UTC
 *     deleted       true once the name is free again; the record stays, so that every change is one conditional put
 */
import { RepositoryError } from '../repository-error.ts';

const REF_VERSION = 1;
export const REF_BYTES_MAX: number = 64 * 1024;

/** A name for a timeline. */
export interface BranchRef {
  readonly timelineId: string;
  readonly createdAt: Date;
}

/** A name for a timeline at an LSN, which garbage collection keeps readable. */
export interface SnapshotRef extends BranchRef {
  readonly lsn: bigint;
}

/** What the object holds: a ref, or the trace of a deleted one. */
export interface RefRecord {
  readonly refId: string;
  readonly timelineId: string;
  /** Absent for branches. */
  readonly lsn: bigint | undefined;
  readonly createdAt: Date;
  readonly isDeleted: boolean;
}

const TIMELINE_ID = /^[0-9a-f]{32}$/;
const LSN = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/;

export function encodeRefRecord({ refId, timelineId, lsn, createdAt, isDeleted }: RefRecord): Uint8Array {
  const json = {
    version: REF_VERSION,
    ref_id: refId,
    timeline_id: timelineId,
    ...(lsn === undefined ? {} : { lsn: formatLsnText(lsn) }),
    created_at: createdAt.toISOString(),
    ...(isDeleted ? { deleted: true } : {}),
  };
  return new TextEncoder().encode(`${JSON.stringify(json, undefined, 2)}\n`);
}

/** Throws `REPOSITORY_REF_INVALID`; unknown fields are ignored. `place` is for the message. */
export function decodeRefRecord(
  bytes: Uint8Array,
  { place, hasLsn }: { readonly place: string; readonly hasLsn: boolean },
): RefRecord {
  const json = parseObject(bytes, place);
  if (json.version !== REF_VERSION)
    throw invalid(place, `its version is ${String(json.version)}; this program knows ${REF_VERSION}`);
  const { ref_id: refId, timeline_id: timelineId, created_at: createdText } = json;
  if (typeof refId !== 'string' || refId === '') throw invalid(place, 'ref_id is no text');
  if (typeof timelineId !== 'string' || !TIMELINE_ID.test(timelineId))
    throw invalid(place, 'timeline_id is not 32 lower-case hex digits');
  const createdAt = new Date(typeof createdText === 'string' ? createdText : Number.NaN);
  if (Number.isNaN(createdAt.getTime())) throw invalid(place, 'created_at is no time');
  const lsn = hasLsn ? parseLsnText(json.lsn) : undefined;
  if (hasLsn && lsn === undefined) throw invalid(place, 'lsn is not of the form 16/B374D848');
  return { refId, timelineId, lsn, createdAt, isDeleted: json.deleted === true };
}

function parseLsnText(text: unknown): bigint | undefined {
  const [, high, low] = LSN.exec(typeof text === 'string' ? text : '') ?? [];
  if (high === undefined || low === undefined) return undefined;
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

function formatLsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

function parseObject(bytes: Uint8Array, place: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(place, 'it is no JSON', error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(place, 'it is no JSON object');
  return value as Readonly<Record<string, unknown>>;
}

function invalid(place: string, why: string, cause?: unknown): RepositoryError {
  return new RepositoryError({
    code: 'REPOSITORY_REF_INVALID',
    operation: 'read name',
    message: `${place} does not say what it names: ${why}; repair or delete the object. Until then nothing is collected as garbage`,
    context: { place },
    cause,
  });
}
