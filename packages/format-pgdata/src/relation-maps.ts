import { basename, dirname } from 'node:path/posix';
import { FormatError, type FormatServices, fileFault } from '@neon-snapshot/format-core';
import { decodeRelationMap } from '@neon-snapshot/postgres';
import { readAll } from '@neon-snapshot/storage-core';
import type { SnapshotPlan } from './snapshot-plan.ts';
import type { SourceFile } from './source-tree.ts';
import { TaskLimit } from './task-limit.ts';

const MAP_NAME = 'pg_filenode.map';
const MAP_SIZE_MAX_BYTES = 4096;
const DATABASE_DIRECTORY = /^base\/\d+$/;

export interface RelationMapsOptions {
  readonly plan: SnapshotPlan;
  readonly postgresMajor: number;
  readonly url: string;
  readonly services: FormatServices;
  readonly concurrency: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the relation map of every database: a damaged one locks a database for good, and the catalogs that it names have to be
 * there. `FORMAT_CHECKSUM`, `FORMAT_INVALID`, `FORMAT_TRUNCATED`. A directory without a map is what an interrupted CREATE DATABASE
 * leaves, which Postgres passes over: a warning.
 */
export async function checkRelationMaps(options: RelationMapsOptions): Promise<void> {
  const { plan, services, url } = options;
  const paths = new Set(plan.files.map((file) => file.path));
  for (const directory of plan.directories) {
    if (!DATABASE_DIRECTORY.test(directory) || paths.has(`${directory}/${MAP_NAME}`)) continue;
    services.warn(
      `${directory} in ${url} has no ${MAP_NAME}: no database that Postgres can open, perhaps left by an interrupted CREATE DATABASE; it is copied as it is`,
    );
  }
  const limit = new TaskLimit(options.concurrency);
  try {
    for (const file of plan.files)
      if (basename(file.path) === MAP_NAME) await limit.start(() => checkMap(file, paths, options));
    await limit.drain();
  } finally {
    await limit.settle();
  }
}

async function checkMap(
  file: SourceFile,
  paths: ReadonlySet<string>,
  { postgresMajor, url, signal }: RelationMapsOptions,
): Promise<void> {
  const { body } = await file.storage.get(file.key, { signal });
  const bytes = await readAll(body, { sizeMaxBytes: MAP_SIZE_MAX_BYTES, key: file.path });
  let mapped: ReturnType<typeof decodeRelationMap>;
  try {
    mapped = decodeRelationMap(bytes, postgresMajor);
  } catch (error) {
    throw fileFault(error, { path: file.path, url });
  }
  const directory = dirname(file.path);
  const missing = mapped.find(({ relNode }) => !paths.has(`${directory}/${relNode}`));
  if (missing === undefined) return;
  throw new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'read relation map',
    message: `relation file ${directory}/${missing.relNode} is missing in ${url}, but ${file.path} names it for the catalog with OID ${missing.oid}; the data directory is incomplete or damaged`,
    context: { path: `${directory}/${missing.relNode}` },
  });
}
