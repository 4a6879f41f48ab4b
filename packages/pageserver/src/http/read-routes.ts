import { firstReadableLsn, isNeonLayerError, keyFromHex } from '@neon-snapshot/neon-layer';
import { findLsnAt, parseCommitTime } from '@neon-snapshot/neon-timeline';
import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { readAll } from '@neon-snapshot/storage-core';
import type { PageServer } from '../page-server/page-server.ts';
import type { Timeline } from '../timeline/timeline.ts';
import { badRequest, notFound } from './http-errors.ts';
import { keyspaceInfo } from './keyspace-info.ts';
import { lsnField, textField } from './request-fields.ts';
import { type HttpAnswer, type HttpRequest, json, type Route } from './router.ts';
import { timelineOf } from './tenant-routes.ts';
import { layerMapInfo, ownLayers } from './timeline-info.ts';

const TIMELINE = '/v1/tenant/:tenant/timeline/:timeline';
const LAYER_BYTES_MAX = 1024 * 1024 * 1024;
const OCTETS = 'application/octet-stream';

/** Reads of a timeline's values, layers and history. */
export function readRoutes(pageServer: PageServer): Route[] {
  return [
    {
      method: 'GET',
      path: `${TIMELINE}/getpage`,
      handle: (request) => getPage(pageServer, request),
    },
    {
      method: 'GET',
      path: `${TIMELINE}/keyspace`,
      handle: async (request) => {
        const timeline = timelineOf(pageServer, request);
        const lsn = await readableLsn(pageServer, timeline, request.query.get('at_lsn'));
        return json(await keyspaceInfo(timeline, lsn, request));
      },
    },
    {
      method: 'GET',
      path: `${TIMELINE}/get_lsn_by_timestamp`,
      handle: (request) => lsnByTimestamp(timelineOf(pageServer, request), request),
    },
    {
      method: 'POST',
      path: `${TIMELINE}/lsn_lease`,
      handle: (request) => lease(pageServer, timelineOf(pageServer, request), request),
    },
    {
      method: 'GET',
      path: `${TIMELINE}/layer`,
      handle: (request) => json(layerMapInfo(pageServer, timelineOf(pageServer, request))),
    },
    {
      method: 'GET',
      path: `${TIMELINE}/layer/:layer`,
      handle: (request) => layer(timelineOf(pageServer, request), request),
    },
  ];
}

/** Value of a key at an LSN: its bytes, or `{"page": [bytes]}` as Neon's page server has it. */
async function getPage(pageServer: PageServer, request: HttpRequest): Promise<HttpAnswer> {
  const timeline = timelineOf(pageServer, request);
  const lsn = await readableLsn(pageServer, timeline, request.query.get('lsn'));
  const value = await timeline.get(keyOf(request.query.get('key')), lsn, { signal: request.signal });
  if (value === undefined) throw notFound(`there is no value of that key at ${formatLsn(lsn)}`);
  return request.accepts(OCTETS) ? { kind: 'bytes', bytes: value } : json({ page: [...value] });
}

/** Default: the end. An LSN that a named snapshot keeps gets a lease. */
async function readableLsn({ leases }: PageServer, timeline: Timeline, text: string | null): Promise<Lsn> {
  if (text === null) return timeline.lastRecordLsn;
  const lsn = lsnField(text, 'the LSN');
  if (lsn < firstReadableLsn(timeline.source)) await leases.isKept(timeline.timelineId, lsn);
  return lsn;
}

function keyOf(text: string | null): Uint8Array {
  if (text === null) throw badRequest('the query has no "key"');
  try {
    return keyFromHex(text);
  } catch (error) {
    if (isNeonLayerError(error)) throw badRequest(`key is "${text.slice(0, 40)}"; expected 36 hex digits`);
    throw error;
  }
}

/** `present`: a commit after the time is known. `future`: none is. `past`: the time lies before all that is kept. */
async function lsnByTimestamp(timeline: Timeline, request: HttpRequest): Promise<HttpAnswer> {
  const text = request.query.get('timestamp') ?? '';
  const time = parseCommitTime(text);
  if (time === undefined) throw badRequest(`timestamp is "${text.slice(0, 40)}"; expected RFC 3339`);
  await timeline.freeze();
  const { source } = timeline;
  const found = await findLsnAt(timeline.storage, {
    source,
    lsnMin: timeline.gcCutoff,
    end: source.index.metadata.diskConsistentLsn,
    time,
    signal: request.signal,
  });
  const lsn: Lsn = found.kind === 'past' ? timeline.gcCutoff : found.lsn;
  return json({ lsn: formatLsn(lsn), kind: found.kind });
}

async function lease({ leases }: PageServer, timeline: Timeline, request: HttpRequest): Promise<HttpAnswer> {
  const lsn = lsnField(textField(request.body, 'lsn'), 'lsn');
  const until = await leases.grantFor(timeline, lsn);
  return json({ valid_until: until.toISOString() });
}

/** Brings a layer into the local cache, as Neon's page server does; gives its bytes where they are asked for. */
async function layer(timeline: Timeline, request: HttpRequest): Promise<HttpAnswer> {
  const name = request.params.layer ?? '';
  const found = ownLayers(timeline).find((each) => each.name === name);
  if (found === undefined) throw notFound(`timeline ${timeline.timelineId} has no layer of that name`);
  const { body } = await timeline.storage.get(found.objectKey, { signal: request.signal });
  if (request.accepts(OCTETS)) return { kind: 'stream', chunks: body, contentType: OCTETS };
  await readAll(body, { sizeMaxBytes: LAYER_BYTES_MAX });
  return json(null);
}
