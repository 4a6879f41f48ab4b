import { firstReadableLsn } from '@neon-snapshot/neon-layer';
import { formatLsn, type Lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import { PageServerError } from '../page-server-error.ts';
import type { Timeline } from '../timeline/timeline.ts';

export interface ReadLsnOptions {
  readonly timeline: Timeline;
  readonly requestLsn: Lsn;
  /** The caller knows that what is read has not changed since. */
  readonly notModifiedSince: Lsn;
  /** Whether an LSN before the GC cutoff can be read nevertheless. */
  readonly isKept: (lsn: Lsn) => boolean | Promise<boolean>;
  readonly waitTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * The LSN to read at (`wait_or_get_last_lsn` of Neon's page_service.rs): at not-modified-since where that has yet to arrive, else at
 * the request LSN, but not above the end, since nothing that is read changed in between. A promise only where it has to wait, or is asked for history.
 */
export function readLsn(options: ReadLsnOptions): Lsn | Promise<Lsn> {
  const { timeline, requestLsn, notModifiedSince } = options;
  const lastRecordLsn = timeline.lastRecordLsn;
  if (requestLsn === ZERO_LSN) throw badRequest('invalid LSN(0) in request');
  if (notModifiedSince > requestLsn)
    throw badRequest(
      `invalid request with request LSN ${formatLsn(requestLsn)} and not_modified_since ${formatLsn(notModifiedSince)}`,
    );
  const cutoff = timeline.gcCutoff;
  if (requestLsn < cutoff) return keptLsn(options, cutoff);
  if (notModifiedSince > lastRecordLsn) return waitFor(options);
  // What was read last did not change between the end and the LSN asked for.
  if (requestLsn > lastRecordLsn) return lastRecordLsn;
  return requestLsn;
}

async function keptLsn({ requestLsn, isKept }: ReadLsnOptions, cutoff: Lsn): Promise<Lsn> {
  if (await isKept(requestLsn)) return requestLsn;
  throw badRequest(
    `tried to request a page version that was garbage collected. requested at ${formatLsn(requestLsn)} gc cutoff ${formatLsn(cutoff)}`,
  );
}

async function waitFor({ timeline, notModifiedSince, waitTimeoutMs, signal }: ReadLsnOptions): Promise<Lsn> {
  await timeline.waitForLsn(notModifiedSince, { timeoutMs: waitTimeoutMs, signal });
  return notModifiedSince;
}

/** Where a whole backup can be made: from the first readable LSN to the end, for which it waits. */
export async function backupLsn(
  timeline: Timeline,
  lsn: Lsn | undefined,
  options: {
    /** Whether an LSN before the GC cutoff can be read nevertheless. */
    readonly isKept: (lsn: Lsn) => boolean | Promise<boolean>;
    readonly waitTimeoutMs: number;
    readonly signal: AbortSignal;
  },
): Promise<Lsn> {
  if (lsn === undefined) return timeline.lastRecordLsn;
  const first = firstReadableLsn(timeline.source);
  if (lsn < first && !(await options.isKept(lsn)))
    throw badRequest(
      `the first LSN of which a backup can be made is ${formatLsn(first)}; asked for ${formatLsn(lsn)}`,
    );
  await timeline.waitForLsn(lsn, { timeoutMs: options.waitTimeoutMs, signal: options.signal });
  return lsn;
}

function badRequest(what: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_ARGUMENT',
    operation: 'pagestream',
    message: `Bad request: ${what}`,
  });
}
