import { DBDIR_KEY, decodeDbDirectory } from '@neon-snapshot/neon-layer';
import { BLCKSZ, DEFAULT_TABLESPACE_OID, type Lsn, type RelTag } from '@neon-snapshot/postgres';
import type { CopyBothSession } from '@neon-snapshot/pq-proto';
import type { QueryKind, QueryTimes } from '../page-server/query-times.ts';
import { isPageServerError, PageServerError } from '../page-server-error.ts';
import type { Timeline } from '../timeline/timeline.ts';
import {
  answerHeader,
  decodePagestreamRequest,
  encodeCount,
  encodeError,
  encodeFlag,
  encodeSize,
  encodeSlruHeader,
  type PagestreamRequest,
  type PagestreamVersion,
} from './pagestream-messages.ts';
import { readLsn } from './read-lsn.ts';

/** Requests of one client that are read at the same time. */
const IN_FLIGHT_MAX = 64;
const QUERY_KINDS = {
  exists: 'get_rel_exists',
  nblocks: 'get_rel_size',
  getpage: 'get_page_at_lsn',
  dbsize: 'get_db_size',
  'slru-segment': 'get_slru_segment',
} as const satisfies Readonly<Record<PagestreamRequest['kind'], QueryKind>>;
const FSM_FORK = 1;
const VM_FORK = 2;

export interface PagestreamOptions {
  readonly session: CopyBothSession;
  readonly timeline: Timeline;
  readonly version: PagestreamVersion;
  readonly isKept: (lsn: Lsn) => boolean | Promise<boolean>;
  readonly waitTimeoutMs: number;
  readonly queryTimes: QueryTimes;
  /** A request that failed for a reason that is not the client's. */
  readonly onError: (error: unknown) => void;
}

/** The parts of an answer. */
type Answer = readonly Uint8Array[];

/** Answers requests in their order until the client ends. A request that fails is answered with an error; the stream goes on. */
export async function servePagestream(options: PagestreamOptions): Promise<void> {
  const { session } = options;
  const pending: Promise<Answer>[] = [];
  const writeOne = async () => {
    const answer = await pending.shift();
    if (answer) session.write(...answer);
  };
  for (let batch = await session.readBatch(); batch.length > 0; batch = await session.readBatch()) {
    for (const request of batch) {
      pending.push(answerRequest(request, options));
      if (pending.length >= IN_FLIGHT_MAX) await writeOne();
    }
    while (pending.length > 0) await writeOne();
    await session.flush();
  }
}

/** Never rejects. */
async function answerRequest(bytes: Uint8Array, options: PagestreamOptions): Promise<Answer> {
  const { version, timeline } = options;
  const startedAt = performance.now();
  let kind: PagestreamRequest['kind'] | undefined;
  try {
    const request = decodePagestreamRequest(bytes, version);
    kind = request.kind;
    const lsn = await readLsn({
      timeline,
      requestLsn: request.requestLsn,
      notModifiedSince: request.notModifiedSince,
      isKept: options.isKept,
      waitTimeoutMs: options.waitTimeoutMs,
      signal: options.session.signal,
    });
    return [
      answerHeader(bytes, version),
      ...(await read(timeline, request, { lsn, signal: options.session.signal })),
    ];
  } catch (error) {
    return [encodeError(bytes, version, errorText(error, options))];
  } finally {
    if (kind) options.queryTimes.add(QUERY_KINDS[kind], (performance.now() - startedAt) / 1000);
  }
}

interface ReadPlace {
  readonly lsn: Lsn;
  readonly signal: AbortSignal;
}

async function read(timeline: Timeline, request: PagestreamRequest, place: ReadPlace): Promise<Answer> {
  const { lsn, ...options } = place;
  switch (request.kind) {
    case 'getpage':
      return [await readPage(timeline, request, place)];
    case 'exists':
      if (request.tag.relNode === 0) throw notFound('relation');
      return [encodeFlag(await timeline.relExists(request.tag, lsn, options))];
    case 'nblocks': {
      const blocks = await timeline.relSize(request.tag, lsn, options);
      if (blocks === undefined && !mayBeMissing(request.tag)) throw notFound('relation');
      return [encodeCount(blocks ?? 0)];
    }
    case 'dbsize': {
      const size = await timeline.dbSize(request.dbNode, lsn, options);
      if (size === 0 && !(await isDatabase(timeline, request.dbNode, place))) throw notFound('database');
      return [encodeSize(size)];
    }
    case 'slru-segment': {
      const segment = await timeline.slruSegment(request.slru, request.segno, lsn, options);
      if (segment === undefined) throw notFound('segment');
      return [encodeSlruHeader(segment), segment];
    }
  }
}

async function readPage(
  timeline: Timeline,
  { tag, blockNumber }: Extract<PagestreamRequest, { readonly kind: 'getpage' }>,
  { lsn, signal }: ReadPlace,
): Promise<Uint8Array> {
  try {
    return await timeline.getPage(tag, blockNumber, lsn, { signal });
  } catch (error) {
    if (isPageServerError(error, 'PAGESERVER_NOT_FOUND') && mayBeMissing(tag)) return new Uint8Array(BLCKSZ);
    throw error;
  }
}

/** These forks are missing as long as nothing was written to them, which is as good as empty. */
function mayBeMissing({ forkNum }: RelTag): boolean {
  return forkNum === FSM_FORK || forkNum === VM_FORK;
}

async function isDatabase(timeline: Timeline, dbNode: number, { lsn, signal }: ReadPlace): Promise<boolean> {
  const directory = await timeline.get(DBDIR_KEY, lsn, { signal });
  if (directory === undefined) return false;
  return decodeDbDirectory(directory).some(
    (entry) => entry.dbNode === dbNode && entry.spcNode === DEFAULT_TABLESPACE_OID,
  );
}

/** What the client did wrong is told; of all else only that it failed, as Neon's page server does. */
function errorText(error: unknown, options: PagestreamOptions): string {
  if (isPageServerError(error, 'PAGESERVER_INVALID_ARGUMENT')) return error.message;
  if (isPageServerError(error, 'PAGESERVER_LSN_OUT_OF_RANGE')) return `Bad request: ${error.message}`;
  if (isPageServerError(error, 'PAGESERVER_TIMEOUT')) return `LSN timeout: ${error.message}`;
  if (!isPageServerError(error, 'PAGESERVER_NOT_FOUND') && !options.session.signal.aborted)
    options.onError(error);
  return 'Read error';
}

function notFound(what: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_NOT_FOUND',
    operation: 'pagestream',
    message: `there is no such ${what}`,
  });
}
