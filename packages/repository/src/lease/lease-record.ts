/**
 * `neon-snapshot/<tenant>/lease.json`: who may write a tenant. JSON, version 1; documented in docs/storage-layout.md.
 *
 *     version       1
 *     holder_id     random, new for every holding
 *     holder        command, host, pid, process: for messages, and to see that a holder on this machine is gone
 *     generation    1 to 4294967295, higher than that of every earlier holder
 *     acquired_at   ISO 8601, UTC
 *     expires_at    ISO 8601, UTC; put again before it passes
 *     released      true once the holder has finished; the record stays for its generation
 */
import { RepositoryError } from '../repository-error.ts';

const LEASE_VERSION = 1;
export const GENERATION_MAX = 0xffff_ffff;

export interface LeaseHolder {
  /** What it is doing, e.g. `neon init`. */
  readonly command: string;
  readonly host: string;
  readonly pid: number;
  /** Tells the process apart on its machine; empty where nothing does. */
  readonly process: string;
}

export interface LeaseRecord {
  readonly holderId: string;
  readonly holder: LeaseHolder;
  readonly generation: number;
  readonly acquiredAt: Date;
  readonly expiresAt: Date;
  readonly isReleased: boolean;
}

export function encodeLeaseRecord(record: LeaseRecord): Uint8Array {
  const { command, host, pid, process } = record.holder;
  const json = {
    version: LEASE_VERSION,
    holder_id: record.holderId,
    holder: { command, host, pid, process },
    generation: record.generation,
    acquired_at: record.acquiredAt.toISOString(),
    expires_at: record.expiresAt.toISOString(),
    released: record.isReleased,
  };
  return new TextEncoder().encode(`${JSON.stringify(json, undefined, 2)}\n`);
}

/** Throws `REPOSITORY_LEASE_INVALID`; unknown fields are ignored. `place` is for the message. */
export function decodeLeaseRecord(bytes: Uint8Array, place: string): LeaseRecord {
  const json = parseObject(bytes, place);
  if (json.version !== LEASE_VERSION)
    throw invalid(place, `its version is ${String(json.version)}; this program knows ${LEASE_VERSION}`);
  const holder = isObject(json.holder) ? json.holder : {};
  return {
    holderId: text(json, { name: 'holder_id', place }),
    holder: {
      command: text(holder, { name: 'command', place }),
      host: text(holder, { name: 'host', place }),
      pid: count(holder, { name: 'pid', place }),
      process: text(holder, { name: 'process', place }),
    },
    generation: count(json, { name: 'generation', place }),
    acquiredAt: date(json, { name: 'acquired_at', place }),
    expiresAt: date(json, { name: 'expires_at', place }),
    isReleased: json.released === true,
  };
}

interface Field {
  readonly name: string;
  readonly place: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseObject(bytes: Uint8Array, place: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(place, 'it is no JSON', error);
  }
  if (!isObject(value)) throw invalid(place, 'it is no JSON object');
  return value;
}

function text(json: JsonObject, { name, place }: Field): string {
  const value = json[name];
  if (typeof value === 'string') return value;
  throw invalid(place, `${name} is no text`);
}

function count(json: JsonObject, { name, place }: Field): number {
  const value = json[name];
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= GENERATION_MAX)
    return value;
  throw invalid(place, `${name} is no number from 1 to ${GENERATION_MAX}`);
}

function date(json: JsonObject, field: Field): Date {
  const value = new Date(text(json, field));
  if (Number.isNaN(value.getTime())) throw invalid(field.place, `${field.name} is no time`);
  return value;
}

function invalid(place: string, why: string, cause?: unknown): RepositoryError {
  return new RepositoryError({
    code: 'REPOSITORY_LEASE_INVALID',
    operation: 'read lease',
    message: `${place} does not say who writes there: ${why}. When no program writes there, delete the object and try again`,
    context: { place },
    cause,
  });
}
