import { formatLsn } from '@neon-snapshot/postgres';
import type { PageServer } from '../page-server/page-server.ts';
import { isWalSourceTls, type WalSource } from '../page-server/wal-source.ts';
import type { Timeline } from '../timeline/timeline.ts';
import { badRequest } from './http-errors.ts';
import { booleanQuery, integerField, optionalText, textField } from './request-fields.ts';
import { type HttpAnswer, type HttpRequest, json, type Route } from './router.ts';
import { assertTenant, timelineOf } from './tenant-routes.ts';
import { exactTimelineInfo, timelineInfo } from './timeline-info.ts';
import { knownLogicalSize, readLogicalSize } from './timeline-sizes.ts';

const TIMELINES = '/v1/tenant/:tenant/timeline';
const TIMELINE = `${TIMELINES}/:timeline`;
const DONE = json(null);

/** Of timelines as a whole: what they are, where their WAL comes from, and pushing. */
export function timelineRoutes(pageServer: PageServer): Route[] {
  return [
    {
      method: 'GET',
      path: TIMELINES,
      handle: async (request) => {
        assertTenant(pageServer, request);
        const infos: Record<string, unknown>[] = [];
        for (const timeline of pageServer.timelines())
          infos.push(await infoOf(pageServer, timeline, request));
        return json(infos);
      },
    },
    {
      method: 'GET',
      path: TIMELINE,
      handle: async (request) => json(await infoOf(pageServer, timelineOf(pageServer, request), request)),
    },
    { method: 'GET', path: `${TIMELINE}/last_record`, handle: (request) => lastRecord(pageServer, request) },
    { method: 'PUT', path: `${TIMELINE}/push`, handle: (request) => push(pageServer, request) },
    {
      method: 'PUT',
      path: `${TIMELINE}/checkpoint`,
      handle: async (request) => {
        await timelineOf(pageServer, request).push({ signal: request.signal });
        return DONE;
      },
    },
    {
      method: 'PUT',
      path: `${TIMELINE}/wal_source`,
      handle: async (request) => {
        const { timelineId } = timelineOf(pageServer, request);
        await pageServer.setWalSource(timelineId, walSourceOf(request));
        return DONE;
      },
    },
    {
      method: 'DELETE',
      path: `${TIMELINE}/wal_source`,
      handle: async (request) => {
        await pageServer.removeWalSource(timelineOf(pageServer, request).timelineId);
        return DONE;
      },
    },
  ];
}

/** With the size of the database where it is asked for, as of Neon's page server. */
async function infoOf(
  pageServer: PageServer,
  timeline: Timeline,
  { query }: HttpRequest,
): Promise<Record<string, unknown>> {
  if (booleanQuery(query, 'include-non-incremental-logical-size'))
    return exactTimelineInfo(pageServer, timeline);
  if (booleanQuery(query, 'force-await-initial-logical-size') && knownLogicalSize(timeline) === undefined)
    await readLogicalSize(pageServer, timeline);
  return timelineInfo(pageServer, timeline);
}

/** What shows that a data directory continues the timeline. */
function lastRecord(pageServer: PageServer, request: HttpRequest): HttpAnswer {
  const record = timelineOf(pageServer, request).lastRecord;
  if (record === undefined) return json(null, 204);
  return json({ start: formatLsn(record.start), end: formatLsn(record.end), crc: record.crc });
}

/** Answers when what was received before the request is in the storage. */
async function push(pageServer: PageServer, request: HttpRequest): Promise<HttpAnswer> {
  const timeline = timelineOf(pageServer, request);
  const what = request.query.get('what') ?? 'layers';
  if (what !== 'tail' && what !== 'layers') throw badRequest(`what is "${what}"; expected tail or layers`);
  const options = { signal: request.signal };
  await (what === 'tail' ? timeline.pushTail(options) : timeline.push(options));
  return json({ durable_lsn: formatLsn(timeline.durableLsn) });
}

function walSourceOf({ body }: HttpRequest): WalSource {
  return {
    host: textField(body, 'host'),
    port: integerField(body, 'port'),
    user: textField(body, 'user'),
    passfile: optionalText(body, 'passfile'),
    slot: textField(body, 'slot'),
    tls: tlsField(body),
    tlsRootCertificate: optionalText(body, 'tlsRootCertificate'),
    ...(body.timeLineId === undefined ? {} : { timeLineId: integerField(body, 'timeLineId') }),
  };
}

function tlsField(body: HttpRequest['body']): WalSource['tls'] {
  const text = optionalText(body, 'tls');
  if (text === undefined || isWalSourceTls(text)) return text;
  throw badRequest(`tls is "${text}", which is no sslmode that is known`);
}
