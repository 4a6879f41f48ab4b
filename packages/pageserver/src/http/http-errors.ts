import { isPageServerError, PageServerError, type PageServerErrorCode } from '../page-server-error.ts';

const STATUS: Partial<Record<PageServerErrorCode, number>> = {
  PAGESERVER_NOT_FOUND: 404,
  PAGESERVER_EXISTS: 409,
  PAGESERVER_INVALID_ARGUMENT: 400,
  PAGESERVER_UNSUPPORTED: 501,
  PAGESERVER_LSN_OUT_OF_RANGE: 406,
  PAGESERVER_UNAUTHORIZED: 401,
  PAGESERVER_FORBIDDEN: 403,
  PAGESERVER_TIMEOUT: 503,
  PAGESERVER_CLOSED: 503,
  PAGESERVER_FENCED: 503,
};

/** Status of an answer that tells an error; what is not foreseen is 500. */
export function httpStatusOf(error: unknown): number {
  return isPageServerError(error) ? (STATUS[error.code] ?? 500) : 500;
}

export function badRequest(message: string): PageServerError {
  return new PageServerError({ code: 'PAGESERVER_INVALID_ARGUMENT', operation: 'http', message });
}

/** What Neon's page servers do and this one has no use for. */
export function unsupported(message: string): PageServerError {
  return new PageServerError({ code: 'PAGESERVER_UNSUPPORTED', operation: 'http', message });
}

export function notFound(message: string): PageServerError {
  return new PageServerError({ code: 'PAGESERVER_NOT_FOUND', operation: 'http', message });
}
