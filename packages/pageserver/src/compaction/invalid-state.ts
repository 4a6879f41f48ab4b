import { PageServerError } from '../page-server-error.ts';

/** What is stored contradicts itself, as compaction found. */
export function invalidState(message: string): PageServerError {
  return new PageServerError({ code: 'PAGESERVER_INVALID_STATE', operation: 'compact', message });
}
