import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { assertScope, type JwtVerifier, unauthorized } from '../access/jwt.ts';
import { assertSafeAddress, type ListenAddress } from '../access/listen-address.ts';
import type { PageServer } from '../page-server/page-server.ts';
import { PageServerError } from '../page-server-error.ts';
import { branchRoutes } from './branch-routes.ts';
import { badRequest, httpStatusOf } from './http-errors.ts';
import { locationRoutes } from './location-routes.ts';
import { maintenanceRoutes } from './maintenance-routes.ts';
import { readRoutes } from './read-routes.ts';
import { type HttpAnswer, matchRoute, type Route } from './router.ts';
import { tenantOfPath, tenantRoutes } from './tenant-routes.ts';
import { timelineRoutes } from './timeline-routes.ts';

export interface StartHttpServerOptions extends ListenAddress {
  readonly pageServer: PageServer;
  /** Requests that failed with 500: our own faults and those of the storage. */
  readonly onError?:
    | ((error: unknown, request: { readonly method: string; readonly path: string }) => void)
    | undefined;
}

/** A service that listens. Disposal ends its connections. */
export interface ListeningService extends AsyncDisposable {
  readonly port: number;
}

const ROUTES = [
  tenantRoutes,
  locationRoutes,
  timelineRoutes,
  maintenanceRoutes,
  branchRoutes,
  readRoutes,
] as const;
const BODY_BYTES_MAX = 64 * 1024;
const HEADERS_TIMEOUT_MS = 30_000;

/** Serves Neon's management API (those paths that concern one tenant), with ours beside it, `/metrics` and `/healthz`. */
export async function startHttpServer(options: StartHttpServerOptions): Promise<ListeningService> {
  assertSafeAddress(options);
  const { pageServer } = options;
  const routes = ROUTES.flatMap((make) => make(pageServer));
  const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS }, (request, response) => {
    void answer({ routes, options, request, response });
  });
  await listen(server, options);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Exchange {
  readonly routes: readonly Route[];
  readonly options: StartHttpServerOptions;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Never rejects. */
async function answer(exchange: Exchange): Promise<void> {
  const { request, response, options } = exchange;
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  try {
    await send(response, await dispatch(exchange, gone.signal));
  } catch (error) {
    const status = httpStatusOf(error);
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    if (status === 500 && !gone.signal.aborted)
      options.onError?.(error, { method: request.method ?? '', path });
    if (response.headersSent) response.destroy();
    else sendJson(response, { msg: error instanceof Error ? error.message : String(error) }, status);
  }
}

async function dispatch(exchange: Exchange, signal: AbortSignal): Promise<HttpAnswer> {
  const { request, options } = exchange;
  const url = new URL(request.url ?? '/', 'http://page-server');
  const match = matchRoute(exchange.routes, request.method ?? '', url.pathname);
  if (match === 'not-found') return problem(404, `there is no ${url.pathname}`);
  if (match === 'method-not-allowed') return problem(405, `${request.method} is not for ${url.pathname}`);
  const { route, params } = match;
  if (route.access !== 'none') assertAccess(request, options.auth, tenantOfPath(params));
  const accepted = request.headers.accept ?? '';
  return await route.handle({
    params,
    query: url.searchParams,
    body: request.method === 'GET' ? {} : await readBody(request),
    accepts: (mediaType) => accepted.includes(mediaType),
    signal,
  });
}

function problem(status: number, msg: string): HttpAnswer {
  return { kind: 'json', value: { msg }, status };
}

/** Without tokens a web page in the user's browser is kept out: it cannot hide its origin. */
function assertAccess(
  request: IncomingMessage,
  auth: JwtVerifier | undefined,
  tenantId: string | undefined,
): void {
  if (auth === undefined) {
    if (request.headers.origin === undefined) return;
    throw new PageServerError({
      code: 'PAGESERVER_FORBIDDEN',
      operation: 'http',
      message: 'requests of web pages are not answered',
    });
  }
  const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined) throw unauthorized('the request has no bearer token');
  assertScope(auth.verify(token), tenantId);
}

async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    const bytes: Buffer = chunk;
    sizeBytes += bytes.length;
    if (sizeBytes > BODY_BYTES_MAX) throw badRequest(`the body is larger than ${BODY_BYTES_MAX} bytes`);
    chunks.push(bytes);
  }
  if (sizeBytes === 0) return {};
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Told below.
  }
  throw badRequest('the body is no JSON object');
}

async function send(response: ServerResponse, answered: HttpAnswer): Promise<void> {
  switch (answered.kind) {
    case 'json':
      return sendJson(response, answered.value, answered.status ?? 200);
    case 'text':
      response.writeHead(200, { 'content-type': answered.contentType }).end(answered.text);
      return;
    case 'bytes':
      response
        .writeHead(200, {
          'content-type': 'application/octet-stream',
          'content-length': answered.bytes.length,
        })
        .end(answered.bytes);
      return;
    case 'stream':
      response.writeHead(200, { 'content-type': answered.contentType });
      await pipeline(answered.chunks, response);
  }
}

function sendJson(response: ServerResponse, value: unknown, status: number): void {
  if (status === 204) response.writeHead(204).end();
  else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

async function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new PageServerError({
      code: 'PAGESERVER_IO',
      operation: 'listen',
      message: `cannot listen on ${host}:${port}: ${cause instanceof Error ? cause.message : cause}`,
      context: { host, port },
      cause,
    });
  }
}
