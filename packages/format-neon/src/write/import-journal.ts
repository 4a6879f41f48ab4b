/**
 * What an import leaves beside the tenant until it is published, so that one that was killed can go on:
 *
 *     neon-snapshot/<tenant>/import/<timeline>.json   the journal: which source, cut how
 *     neon-snapshot/import.json                       the claim: which import is under way, where the tenant is to be the only one
 *
 * Both are JSON, version 1, documented in docs/storage-layout.md.
 */
import { createHash } from 'node:crypto';
import { FormatError, type PlannedFile, type SnapshotInfo } from '@neon-snapshot/format-core';
import { formatLsn } from '@neon-snapshot/postgres';

const JOURNAL_VERSION = 1;
export const JOURNAL_BYTES_MAX = 64 * 1024;
/** The claim on a destination that holds no tenant yet. */
export const CLAIM_KEY = 'neon-snapshot/import.json';

/** The timeline that an import makes. */
export interface ImportIds {
  readonly tenantId: string;
  readonly timelineId: string;
}

/** What makes two runs read the same bytes: a stopped cluster does not change without its LSN or its files changing. */
export interface ImportSource {
  readonly systemIdentifier: string;
  readonly lsn: string;
  readonly dataChecksums: boolean;
  /** SHA-256 over paths and sizes of all files, in order. */
  readonly filesSha256: string;
}

/** What decides, besides the source, where one layer ends and the next begins. */
export interface ImportLayout {
  readonly partitionCountMax: number;
  readonly layerBytesMax: number;
}

export interface ImportJournal extends ImportIds {
  readonly source: ImportSource;
  readonly layout: ImportLayout;
}

export function journalPrefix(tenantId: string): string {
  return `neon-snapshot/${tenantId}/import/`;
}

export function journalKey({ tenantId, timelineId }: ImportIds): string {
  return `${journalPrefix(tenantId)}${timelineId}.json`;
}

export function describeImportSource(info: SnapshotInfo, plan: readonly PlannedFile[]): ImportSource {
  const hash = createHash('sha256');
  for (const { path, sizeBytes } of plan) hash.update(`${path}\0${sizeBytes}\n`);
  return {
    systemIdentifier: info.systemIdentifier.toString(),
    lsn: formatLsn(info.lsn),
    dataChecksums: info.dataChecksums,
    filesSha256: hash.digest('hex'),
  };
}

export function isSameIds(a: ImportIds, b: ImportIds): boolean {
  return a.tenantId === b.tenantId && a.timelineId === b.timelineId;
}

export function isSameSource(a: ImportSource, b: ImportSource): boolean {
  return (
    a.systemIdentifier === b.systemIdentifier &&
    a.lsn === b.lsn &&
    a.dataChecksums === b.dataChecksums &&
    a.filesSha256 === b.filesSha256
  );
}

export function encodeJournal({ tenantId, timelineId, source, layout }: ImportJournal): Uint8Array {
  return encodeJson({
    neon_tenant_id: tenantId,
    neon_timeline_id: timelineId,
    system_identifier: source.systemIdentifier,
    lsn: source.lsn,
    data_checksums: source.dataChecksums,
    files_sha256: source.filesSha256,
    partition_count_max: layout.partitionCountMax,
    layer_bytes_max: layout.layerBytesMax,
  });
}

/** Throws `FORMAT_INVALID` for anything that {@link encodeJournal} does not make; unknown fields are ignored. */
export function decodeJournal(bytes: Uint8Array, key: string): ImportJournal {
  const fields = decodeFields(bytes, key);
  return {
    ...decodeIds(fields),
    source: {
      systemIdentifier: fields.text('system_identifier'),
      lsn: fields.text('lsn'),
      dataChecksums: fields.flag('data_checksums'),
      filesSha256: fields.text('files_sha256'),
    },
    layout: {
      partitionCountMax: fields.count('partition_count_max'),
      layerBytesMax: fields.count('layer_bytes_max'),
    },
  };
}

export function encodeClaim({ tenantId, timelineId }: ImportIds): Uint8Array {
  return encodeJson({ neon_tenant_id: tenantId, neon_timeline_id: timelineId });
}

/** Throws `FORMAT_INVALID` for anything that {@link encodeClaim} does not make; unknown fields are ignored. */
export function decodeClaim(bytes: Uint8Array): ImportIds {
  return decodeIds(decodeFields(bytes, CLAIM_KEY));
}

function encodeJson(fields: Readonly<Record<string, string | number | boolean>>): Uint8Array {
  return new TextEncoder().encode(
    `${JSON.stringify({ version: JOURNAL_VERSION, ...fields }, undefined, 2)}\n`,
  );
}

interface Fields {
  text(name: string): string;
  count(name: string): number;
  flag(name: string): boolean;
  readonly key: string;
}

function decodeIds(fields: Fields): ImportIds {
  const id = (name: string) => {
    const value = fields.text(name);
    if (/^[0-9a-f]{32}$/.test(value)) return value;
    throw invalid(fields.key, `${name} is no id of 32 hex digits`);
  };
  return { tenantId: id('neon_tenant_id'), timelineId: id('neon_timeline_id') };
}

function decodeFields(bytes: Uint8Array, key: string): Fields {
  const json = parseObject(bytes, key);
  const field = <T>(name: string, check: (value: unknown) => value is T): T => {
    const value = json[name];
    if (check(value)) return value;
    throw invalid(key, `field ${name} is missing or has the wrong type`);
  };
  const fields: Fields = {
    key,
    text: (name) => field(name, (value) => typeof value === 'string'),
    count: (name) => field(name, isCount),
    flag: (name) => field(name, (value) => typeof value === 'boolean'),
  };
  const version = fields.count('version');
  if (version !== JOURNAL_VERSION) {
    throw invalid(key, `version is ${version}; this program knows ${JOURNAL_VERSION}`);
  }
  return fields;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function parseObject(bytes: Uint8Array, key: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(key, 'it is no JSON', error);
  }
  if (typeof value === 'object' && value !== null) return { ...value };
  throw invalid(key, 'it is no JSON object');
}

function invalid(key: string, why: string, cause?: unknown): FormatError {
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'read import journal',
    message: `${key} of an interrupted import can't be read: ${why}. Delete the object to import anew`,
    context: { key },
    cause,
  });
}
