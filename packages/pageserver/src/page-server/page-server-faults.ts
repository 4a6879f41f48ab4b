import { PageServerError } from '../page-server-error.ts';

export function noTimeline(timelineId: string, tenantId: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_NOT_FOUND',
    operation: 'read',
    message: `tenant ${tenantId} has no timeline ${timelineId}`,
    context: { tenantId, timelineId },
  });
}

export function noTenant(tenantId: string, url: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_NOT_FOUND',
    operation: 'open',
    message: `there is no timeline of tenant ${tenantId} in ${url}; make one with neon init`,
    context: { tenantId, url },
  });
}

/** A later owner has to see everything that an earlier one was told is stored. */
export function eventualStorage(url: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_ARGUMENT',
    operation: 'open',
    message: `${url} does not show at once what was put there, so that acknowledged WAL could be lost; use another storage`,
    context: { url },
  });
}

export function closedError(): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_CLOSED',
    operation: 'close',
    message: 'the page server was closed',
  });
}

export function tooLate(timeoutMs: number): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_TIMEOUT',
    operation: 'close',
    message: `the storage did not take everything within ${timeoutMs} ms`,
  });
}
