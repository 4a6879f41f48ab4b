import type { PageServerError } from '../page-server-error.ts';
import { badRequest } from './http-errors.ts';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** A request as handlers see it. */
export interface HttpRequest {
  /** Parts of the path that stand for `:name`. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The parsed body of a POST or PUT; an empty one is `{}`. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly accepts: (mediaType: string) => boolean;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
}

export type HttpAnswer =
  | { readonly kind: 'json'; readonly value: unknown; readonly status?: number }
  | { readonly kind: 'text'; readonly text: string; readonly contentType: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array>; readonly contentType: string };

export interface Route {
  readonly method: HttpMethod;
  /** `/v1/tenant/:tenant/timeline`; a `:name` fits one segment. */
  readonly path: string;
  /** `none`: for probes, open to everyone. Default: the tenant in the path, or the whole server where there is none. */
  readonly access?: 'none' | undefined;
  readonly handle: (request: HttpRequest) => Promise<HttpAnswer> | HttpAnswer;
}

export interface RouteMatch {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/** The route of a request; `method-not-allowed` where another method would do. */
export function matchRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): RouteMatch | 'not-found' | 'method-not-allowed' {
  const segments = path.split('/');
  let isKnown = false;
  for (const route of routes) {
    const params = matchPath(route.path.split('/'), segments);
    if (params === undefined) continue;
    if (route.method === method) return { route, params };
    isKnown = true;
  }
  return isKnown ? 'method-not-allowed' : 'not-found';
}

function matchPath(
  pattern: readonly string[],
  segments: readonly string[],
): Readonly<Record<string, string>> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? '';
    if (part.startsWith(':')) params[part.slice(1)] = decodeSegment(segment);
    else if (part !== segment) return undefined;
  }
  return params;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw malformed();
  }
}

function malformed(): PageServerError {
  return badRequest('the path is not well percent-encoded');
}

export function json(value: unknown, status = 200): HttpAnswer {
  return { kind: 'json', value, status };
}
