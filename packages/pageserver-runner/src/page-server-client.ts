/** The HTTP API of a page server that runs on this machine, as far as the runner uses it. */
import { request } from 'node:http';
import { type Lsn, parseLsn } from '@neon-snapshot/postgres';
import type { PageServerState } from './page-server-state.ts';
import { RunnerError } from './runner-error.ts';

export type HttpPlace = Pick<PageServerState, 'host' | 'httpPort'>;

export interface HttpCall {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: object;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  /** Undefined where the body is no JSON. */
  readonly body: unknown;
}

export interface TimelineOf {
  readonly tenantId: string;
  readonly timelineId: string;
}

/** The last record that the page server has of a timeline. */
export interface LastRecord {
  readonly start: Lsn;
  /** Where the next one starts. */
  readonly end: Lsn;
  readonly crc: number;
}

/** Where a page server takes the WAL of a timeline from: a Postgres of this machine, or a primary elsewhere. */
export interface WalSourceSettings {
  /** A directory with a socket, or an address. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Holds the user's password. */
  readonly passfile: string;
  readonly slot: string;
  /** Of a primary that is not ours: see the page server's `WalSource`. */
  readonly tls?: string | undefined;
  readonly tlsRootCertificate?: string | undefined;
  readonly timeLineId?: number | undefined;
}

const BODY_BYTES_MAX = 64 * 1024 * 1024;
const HEALTH_TIMEOUT_MS = 10_000;

export function timelinePath({ tenantId, timelineId }: TimelineOf): string {
  return `/v1/tenant/${tenantId}/timeline/${timelineId}`;
}

/** Sends one request and reads the whole answer, whatever its status. Throws `RUNNER_HTTP` where there is no answer. */
export async function sendRequest(place: HttpPlace, call: HttpCall): Promise<HttpAnswer> {
  try {
    return await exchange(place, call);
  } catch (cause) {
    throw new RunnerError({
      code: 'RUNNER_HTTP',
      operation: `${call.method} ${call.path}`,
      message: `the page server on ${place.host}:${place.httpPort} does not answer ${call.method} ${call.path}: ${cause instanceof Error ? cause.message : cause}`,
      context: { host: place.host, port: place.httpPort },
      cause,
    });
  }
}

/** The body of an answer that says success; else `RUNNER_HTTP` with what the page server said. */
export async function callPageServer(place: HttpPlace, call: HttpCall): Promise<unknown> {
  const { status, body } = await sendRequest(place, call);
  if (status >= 200 && status < 300) return body;
  throw new RunnerError({
    code: 'RUNNER_HTTP',
    operation: `${call.method} ${call.path}`,
    message: `the page server refused ${call.method} ${call.path} (${status}): ${reasonOf(body)}`,
    context: { status, path: call.path },
  });
}

/** Whether it answers that all is well; Neon's program has another place for that. */
export async function isHealthy(
  place: HttpPlace & Partial<Pick<PageServerState, 'engine'>>,
): Promise<boolean> {
  const path = place.engine === 'neon' ? '/v1/status' : '/healthz';
  try {
    const signal = AbortSignal.timeout(HEALTH_TIMEOUT_MS);
    return (await exchange(place, { method: 'GET', path, signal })).status === 200;
  } catch {
    return false;
  }
}

/** Undefined where the timeline has taken no record yet, or its last one is not known. */
export async function readLastRecord(
  place: HttpPlace,
  timeline: TimelineOf,
  signal?: AbortSignal,
): Promise<LastRecord | undefined> {
  const path = `${timelinePath(timeline)}/last_record`;
  const { status, body } = await sendRequest(place, { method: 'GET', path, signal });
  if (status === 204 || status === 404) return undefined;
  const { start, end, crc } = fieldsOf(body);
  if (status !== 200 || typeof start !== 'string' || typeof end !== 'string' || typeof crc !== 'number')
    throw unexpected(path, status, body);
  return { start: parseLsn(start), end: parseLsn(end), crc };
}

/** Neon's description of a timeline, with our own additions. */
export async function readTimelineDetail(
  place: HttpPlace,
  timeline: TimelineOf,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  return fieldsOf(await callPageServer(place, { method: 'GET', path: timelinePath(timeline), signal }));
}

/** Returns when everything that the page server has received of the timeline is in storage: as raw WAL, or as layers. */
export async function pushTimeline(
  place: HttpPlace,
  timeline: TimelineOf,
  options: { readonly what: 'tail' | 'layers'; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const path = `${timelinePath(timeline)}/push?what=${options.what}`;
  await callPageServer(place, { method: 'PUT', path, signal: options.signal });
}

export async function setWalSource(
  place: HttpPlace,
  timeline: TimelineOf,
  source: WalSourceSettings,
  signal?: AbortSignal,
): Promise<void> {
  await callPageServer(place, {
    method: 'PUT',
    path: `${timelinePath(timeline)}/wal_source`,
    body: source,
    signal,
  });
}

export async function removeWalSource(
  place: HttpPlace,
  timeline: TimelineOf,
  signal?: AbortSignal,
): Promise<void> {
  await sendRequest(place, { method: 'DELETE', path: `${timelinePath(timeline)}/wal_source`, signal });
}

function exchange(place: HttpPlace, call: HttpCall): Promise<HttpAnswer> {
  const payload = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
  return new Promise((resolve, reject) => {
    const sent = request({
      host: place.host,
      port: place.httpPort,
      method: call.method,
      path: call.path,
      agent: false,
      headers:
        payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': payload.length },
      ...(call.signal === undefined ? {} : { signal: call.signal }),
    });
    sent.once('error', reject);
    sent.once('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > BODY_BYTES_MAX) sent.destroy(new Error(`an answer of more than ${BODY_BYTES_MAX} bytes`));
        chunks.push(chunk);
      });
      response.once('error', reject);
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          body: parseJson(Buffer.concat(chunks).toString('utf8')),
        }),
      );
    });
    sent.end(payload);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function fieldsOf(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}

function reasonOf(body: unknown): string {
  const { msg, message } = fieldsOf(body);
  return String(msg ?? message ?? JSON.stringify(body) ?? 'no reason given');
}

function unexpected(path: string, status: number, body: unknown): RunnerError {
  return new RunnerError({
    code: 'RUNNER_HTTP',
    operation: `GET ${path}`,
    message: `the page server answers GET ${path} with what this version does not know (${status}): ${JSON.stringify(body)?.slice(0, 200)}`,
    context: { status, path },
  });
}
