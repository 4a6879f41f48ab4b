/**
 * Our own objects beside a tenant: what a cluster has and Neon's layers can't hold.
 *
 *     neon-snapshot/<tenant>/cluster/cluster.json          facts of the import, see ClusterFacts
 *     neon-snapshot/<tenant>/cluster/files/<path>          configuration files, byte for byte
 *
 * Documented for users in docs/storage-layout.md.
 */
import { FormatError } from '@neon-snapshot/format-core';
import { formatLsn, type Lsn, parseLsn, type TimelineHistoryEntry } from '@neon-snapshot/postgres';
import { isStorageError, readAll, type Storage } from '@neon-snapshot/storage-core';
import { CONFIGURATION_FILES } from './write/cluster-file.ts';

/** Version of `cluster.json`; readers refuse a greater one. */
const CLUSTER_JSON_VERSION = 1;
const CLUSTER_JSON_BYTES_MAX = 1024 * 1024;
/** A configuration file larger than this is refused. */
export const CONFIGURATION_FILE_BYTES_MAX = 4 * 1024 * 1024;

/** What `cluster.json` says. */
export interface ClusterFacts {
  /** The timeline that was imported. */
  readonly timelineId: string;
  readonly systemIdentifier: bigint;
  readonly postgresMajor: number;
  /** Postgres' TimeLineID that the cluster was on: Neon's own WAL is always on 1. */
  readonly originalTimeLineId: number;
  /** Ancestors of that TimeLineID, oldest first. */
  readonly timelineHistory: readonly TimelineHistoryEntry[];
  readonly lsn: Lsn;
  readonly importedAt: Date;
  /** `pgdata`, `basebackup`, … */
  readonly sourceFormat: string;
  /** Configuration files that were kept, PGDATA-relative. */
  readonly configurationFiles: readonly string[];
}

function clusterPrefix(tenantId: string): string {
  return `neon-snapshot/${tenantId}/cluster/`;
}

export function clusterFactsKey(tenantId: string): string {
  return `${clusterPrefix(tenantId)}cluster.json`;
}

export function configurationFileKey(tenantId: string, path: string): string {
  return `${clusterPrefix(tenantId)}files/${path}`;
}

/** Every object that an import may have put there. */
export function clusterObjectKeys(tenantId: string): string[] {
  return [
    clusterFactsKey(tenantId),
    ...CONFIGURATION_FILES.map((path) => configurationFileKey(tenantId, path)),
  ];
}

export function encodeClusterFacts(facts: ClusterFacts): Uint8Array {
  const json = {
    version: CLUSTER_JSON_VERSION,
    neon_timeline_id: facts.timelineId,
    system_identifier: facts.systemIdentifier.toString(),
    postgres_major: facts.postgresMajor,
    original_timeline_id: facts.originalTimeLineId,
    timeline_history: facts.timelineHistory.map(({ timeLineId, switchLsn, reason }) => ({
      timeline_id: timeLineId,
      switch_lsn: formatLsn(switchLsn),
      reason,
    })),
    lsn: formatLsn(facts.lsn),
    imported_at: facts.importedAt.toISOString(),
    source_format: facts.sourceFormat,
    configuration_files: facts.configurationFiles,
  };
  return new TextEncoder().encode(`${JSON.stringify(json, undefined, 2)}\n`);
}

/** Throws `FORMAT_INVALID` for anything that {@link encodeClusterFacts} does not make; unknown fields are ignored. */
export function decodeClusterFacts(bytes: Uint8Array, key: string): ClusterFacts {
  const json = parseObject(bytes, key);
  const field = <T>(name: string, check: (value: unknown) => value is T): T => {
    const value = json[name];
    if (!check(value)) throw invalid(key, `field ${name} is missing or has the wrong type`);
    return value;
  };
  const version = field('version', isU32);
  if (version !== CLUSTER_JSON_VERSION) {
    throw invalid(key, `version is ${version}; this program knows ${CLUSTER_JSON_VERSION}`);
  }
  try {
    return {
      timelineId: field('neon_timeline_id', isString),
      systemIdentifier: BigInt(field('system_identifier', isString)),
      postgresMajor: field('postgres_major', isU32),
      originalTimeLineId: field('original_timeline_id', isU32),
      timelineHistory: field('timeline_history', isHistory).map((entry) => ({
        timeLineId: entry.timeline_id,
        switchLsn: parseLsn(entry.switch_lsn),
        reason: entry.reason,
      })),
      lsn: parseLsn(field('lsn', isString)),
      importedAt: new Date(field('imported_at', isString)),
      sourceFormat: field('source_format', isString),
      configurationFiles: field('configuration_files', isConfigurationList),
    };
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw invalid(key, 'a field does not parse', error);
  }
}

/** The facts and configuration files of a tenant, or undefined where it was not imported by us. */
export async function readClusterObjects(
  storage: Storage,
  tenantId: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly facts: ClusterFacts; readonly files: ReadonlyMap<string, Uint8Array> } | undefined> {
  const key = clusterFactsKey(tenantId);
  const bytes = await readSmall(storage, key, {
    sizeMaxBytes: CLUSTER_JSON_BYTES_MAX,
    signal: options.signal,
  });
  if (bytes === undefined) return undefined;
  const facts = decodeClusterFacts(bytes, key);
  const files = new Map<string, Uint8Array>();
  for (const path of facts.configurationFiles) {
    const fileKey = configurationFileKey(tenantId, path);
    const content = await readSmall(storage, fileKey, {
      sizeMaxBytes: CONFIGURATION_FILE_BYTES_MAX,
      signal: options.signal,
    });
    if (content === undefined) throw invalid(key, `${fileKey}, which it lists, does not exist`);
    files.set(path, content);
  }
  return { facts, files };
}

async function readSmall(
  storage: Storage,
  key: string,
  options: { readonly sizeMaxBytes: number; readonly signal: AbortSignal | undefined },
): Promise<Uint8Array | undefined> {
  try {
    const { body } = await storage.get(key, { signal: options.signal });
    return await readAll(body, { sizeMaxBytes: options.sizeMaxBytes, key });
  } catch (error) {
    if (isStorageError(error, 'STORAGE_NOT_FOUND')) return undefined;
    throw error;
  }
}

function parseObject(bytes: Uint8Array, key: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof json === 'object' && json !== null) return { ...json };
  } catch (error) {
    throw invalid(key, 'it is no JSON', error);
  }
  throw invalid(key, 'it is no JSON object');
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isU32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

interface HistoryJson {
  readonly timeline_id: number;
  readonly switch_lsn: string;
  readonly reason: string;
}

function isHistory(value: unknown): value is readonly HistoryJson[] {
  return Array.isArray(value) && value.every(isHistoryEntry);
}

function isHistoryEntry(value: unknown): value is HistoryJson {
  if (typeof value !== 'object' || value === null) return false;
  const { timeline_id, switch_lsn, reason }: Partial<Record<keyof HistoryJson, unknown>> = value;
  return isU32(timeline_id) && isString(switch_lsn) && isString(reason);
}

function isConfigurationList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => CONFIGURATION_FILES.includes(item));
}

function invalid(key: string, what: string, cause?: unknown): FormatError {
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'read cluster facts',
    message: `${key}: ${what}`,
    context: { key },
    cause,
  });
}
