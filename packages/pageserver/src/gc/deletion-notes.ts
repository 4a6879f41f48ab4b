/**
 * `neon-snapshot/<tenant>/deletions/<time>-<generation>-<random>.json`: objects that no index lists any more, to be deleted when readers had time to go
 * on to a newer index. JSON, version 1; documented in docs/storage-layout.md.
 *
 *     version       1
 *     noted_at      ISO 8601, UTC: since then at the latest no index lists them
 *     generation    of the writer
 *     timeline_id   whose layers they are
 *     layers        names of layer objects, with generation
 */
import { randomBytes } from 'node:crypto';
import { formatGenerationSuffix, parseLayerObjectName } from '@neon-snapshot/neon-layer';
import { readAll, type Storage } from '@neon-snapshot/storage-core';
import { PageServerError } from '../page-server-error.ts';
import type { CallOptions } from '../timeline/timeline-types.ts';

const NOTE_VERSION = 1;
const NOTE_BYTES_MAX = 64 * 1024 * 1024;
/** Names of a note at most; more make several notes. */
const NOTE_LAYERS_MAX = 10_000;
const TIMELINE_ID = /^[0-9a-f]{32}$/;

export interface DeletionNote {
  /** Where it lies. */
  readonly key: string;
  readonly notedAt: Date;
  readonly timelineId: string;
  /** Names of layer objects, with generation. */
  readonly layers: readonly string[];
}

export interface NewDeletionNote extends CallOptions {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly generation: number;
  readonly layers: readonly string[];
  readonly now: Date;
}

export async function putDeletionNotes(storage: Storage, note: NewDeletionNote): Promise<void> {
  const { tenantId, timelineId, generation, now, signal } = note;
  for (let i = 0; i < note.layers.length; i += NOTE_LAYERS_MAX) {
    const json = {
      version: NOTE_VERSION,
      noted_at: now.toISOString(),
      generation,
      timeline_id: timelineId,
      layers: note.layers.slice(i, i + NOTE_LAYERS_MAX),
    };
    const time = now.toISOString().replace(/[-:]|\.\d*/g, '');
    const name = `${time}${formatGenerationSuffix(generation)}-${randomBytes(4).toString('hex')}.json`;
    const bytes = new TextEncoder().encode(`${JSON.stringify(json, undefined, 2)}\n`);
    await storage.put(`${directoryOf(tenantId)}${name}`, bytes, { signal });
  }
}

/** All notes of a tenant, the oldest first. Throws `PAGESERVER_INVALID_STATE` for one that says nothing clear. */
export async function* readDeletionNotes(
  storage: Storage,
  tenantId: string,
  { signal }: CallOptions = {},
): AsyncGenerator<DeletionNote> {
  const prefix = directoryOf(tenantId);
  for await (const { objects } of storage.list({ prefix, signal })) {
    for (const { key } of objects) {
      if (!key.endsWith('.json')) continue;
      const { body } = await storage.get(key, { signal });
      const bytes = await readAll(body, { sizeMaxBytes: NOTE_BYTES_MAX, key });
      yield { key, ...parseNote(bytes, `${storage.url}/${key}`) };
    }
  }
}

function directoryOf(tenantId: string): string {
  return `neon-snapshot/${tenantId}/deletions/`;
}

function parseNote(bytes: Uint8Array, place: string): Omit<DeletionNote, 'key'> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(place, 'it is no JSON', error);
  }
  if (typeof json !== 'object' || json === null) throw invalid(place, 'it is no JSON object');
  const { version, noted_at, timeline_id, layers } = json as Readonly<Record<string, unknown>>;
  if (version !== NOTE_VERSION)
    throw invalid(place, `its version is ${String(version)}; this program knows ${NOTE_VERSION}`);
  const notedAt = new Date(typeof noted_at === 'string' ? noted_at : Number.NaN);
  if (Number.isNaN(notedAt.getTime())) throw invalid(place, 'noted_at is no time');
  if (typeof timeline_id !== 'string' || !TIMELINE_ID.test(timeline_id))
    throw invalid(place, 'timeline_id is not 32 lower-case hex digits');
  if (!Array.isArray(layers)) throw invalid(place, 'layers is no list');
  return { notedAt, timelineId: timeline_id, layers: layers.map((name) => layerObjectName(name, place)) };
}

/** Nothing but a layer is ever deleted because of a note. */
function layerObjectName(name: unknown, place: string): string {
  if (typeof name !== 'string') throw invalid(place, 'a layer is no text');
  try {
    parseLayerObjectName(name);
  } catch (error) {
    throw invalid(place, `${JSON.stringify(name.slice(0, 120))} is the name of no layer`, error);
  }
  return name;
}

function invalid(place: string, why: string, cause?: unknown): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_STATE',
    operation: 'delete layers',
    message: `${place} does not say what to delete: ${why}; delete the object, and layers that no index lists are found again at the next start`,
    context: { place },
    cause,
  });
}
