import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { parseId } from './identifiers.ts';
import { JsonDocument, type JsonObject } from './json-document.ts';
import { parseLsnField } from './timeline-metadata.ts';

/** A timeline that is archived and not loaded. */
export interface OffloadedTimeline {
  readonly timelineId: string;
  readonly ancestorTimelineId?: string | undefined;
  /** What the ancestor must keep for it. */
  readonly ancestorRetainLsn?: Lsn | undefined;
  /** Zone-less UTC. */
  readonly archivedAt: string;
}

/** A `tenant-manifest-XXXXXXXX.json`. Its absence means: nothing offloaded. */
export interface TenantManifest {
  /** As read: 1 or 2. {@link encodeTenantManifest} always writes 2. */
  readonly version: number;
  /** Blocks of a stripe in a sharded tenant; absent when unknown. */
  readonly stripeSize?: number | undefined;
  readonly offloadedTimelines: readonly OffloadedTimeline[];
  /** All other fields, as parsed. */
  readonly otherFields: JsonObject;
}

const MANIFEST_VERSION = 2;
export const MANIFEST_BYTES_MAX = 64 * 1024 * 1024;

const DOCUMENT = new JsonDocument('The tenant manifest', 'NEON_LAYER_INVALID_MANIFEST');
const NAMED_FIELDS: ReadonlySet<string> = new Set(['version', 'stripe_size', 'offloaded_timelines']);

/** Throws `NEON_LAYER_INVALID_MANIFEST`. */
export function parseTenantManifest(bytes: Uint8Array): TenantManifest {
  const json = DOCUMENT.parse(bytes, MANIFEST_BYTES_MAX);
  const { stripe_size } = json;
  return {
    version: DOCUMENT.integer(json.version, 'version'),
    ...(stripe_size === undefined || stripe_size === null
      ? {}
      : { stripeSize: DOCUMENT.integer(stripe_size, 'stripe_size', 0xffff_ffff) }),
    offloadedTimelines: DOCUMENT.list(json.offloaded_timelines, 'offloaded_timelines').map(parseOffloaded),
    otherFields: Object.fromEntries(Object.entries(json).filter(([name]) => !NAMED_FIELDS.has(name))),
  };
}

/** The JSON content that Neon writes, with the fields that were only kept. */
export function encodeTenantManifest(manifest: Omit<TenantManifest, 'version'>): Uint8Array {
  return DOCUMENT.encode({
    version: MANIFEST_VERSION,
    ...(manifest.stripeSize === undefined ? {} : { stripe_size: manifest.stripeSize }),
    offloaded_timelines: manifest.offloadedTimelines.map((timeline) => ({
      timeline_id: timeline.timelineId,
      ancestor_timeline_id: timeline.ancestorTimelineId ?? null,
      ancestor_retain_lsn:
        timeline.ancestorRetainLsn === undefined ? null : formatLsn(timeline.ancestorRetainLsn),
      archived_at: timeline.archivedAt,
    })),
    ...manifest.otherFields,
  });
}

function parseOffloaded(value: unknown): OffloadedTimeline {
  const json = DOCUMENT.object(value, 'an offloaded timeline');
  const id = (field: string, text: string) => DOCUMENT.nested(field, () => parseId(text));
  const ancestor = DOCUMENT.optionalString(json.ancestor_timeline_id, 'ancestor_timeline_id');
  const retain = json.ancestor_retain_lsn;
  return {
    timelineId: id('timeline_id', DOCUMENT.string(json.timeline_id, 'timeline_id')),
    ...(ancestor === undefined ? {} : { ancestorTimelineId: id('ancestor_timeline_id', ancestor) }),
    ...(retain === undefined || retain === null
      ? {}
      : { ancestorRetainLsn: parseLsnField(DOCUMENT, retain, 'ancestor_retain_lsn') }),
    archivedAt: DOCUMENT.string(json.archived_at, 'archived_at'),
  };
}
