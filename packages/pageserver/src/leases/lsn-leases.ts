import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { PageServerError } from '../page-server-error.ts';

/** Default `lsn_lease_length` of Neon's page server. */
const LEASE_MS = 10 * 60 * 1000;
/** Of one timeline at once: more is no reader. */
const LEASES_MAX = 10_000;

/** What is leased: a timeline, as far as it matters here. */
interface LeasedTimeline {
  readonly timelineId: string;
  readonly gcCutoff: Lsn;
  readonly lastRecordLsn: Lsn;
}

/** LSNs that garbage collection leaves readable for a while, since somebody said that he reads there. In memory only, as Neon's. */
export class LsnLeases {
  readonly #now: () => Date;
  readonly #untilByTimeline = new Map<string, Map<Lsn, Date>>();

  constructor(options: { readonly now?: () => Date } = {}) {
    this.#now = options.now ?? (() => new Date());
  }

  /**
   * Grants or renews, and gives when it ends. Throws `PAGESERVER_LSN_OUT_OF_RANGE` for an LSN that cannot be read any more and is not
   * leased, or not yet.
   */
  grantFor(timeline: LeasedTimeline, lsn: Lsn): Date {
    const { timelineId, gcCutoff, lastRecordLsn } = timeline;
    const isKept = lsn >= gcCutoff || this.isLeased(timelineId, lsn);
    if (!isKept || lsn > lastRecordLsn) throw outOfRange(timeline, lsn);
    const ofTimeline = this.#untilByTimeline.get(timelineId) ?? new Map<Lsn, Date>();
    if (ofTimeline.size >= LEASES_MAX && !ofTimeline.has(lsn)) throw tooMany(timeline);
    const until = new Date(this.#now().getTime() + LEASE_MS);
    this.#untilByTimeline.set(timelineId, ofTimeline.set(lsn, until));
    return until;
  }

  /** Those that have not ended. */
  leased(timelineId: string): readonly Lsn[] {
    const ofTimeline = this.#untilByTimeline.get(timelineId);
    if (ofTimeline === undefined) return [];
    const now = this.#now();
    for (const [lsn, until] of ofTimeline) if (until <= now) ofTimeline.delete(lsn);
    if (ofTimeline.size === 0) this.#untilByTimeline.delete(timelineId);
    return [...ofTimeline.keys()];
  }

  /** Of all timelines, for garbage collection. */
  pinned(): readonly { readonly timelineId: string; readonly lsn: Lsn }[] {
    return [...this.#untilByTimeline.keys()].flatMap((timelineId) =>
      this.leased(timelineId).map((lsn) => ({ timelineId, lsn })),
    );
  }

  isLeased(timelineId: string, lsn: Lsn): boolean {
    return this.leased(timelineId).includes(lsn);
  }
}

function outOfRange({ timelineId, gcCutoff, lastRecordLsn }: LeasedTimeline, lsn: Lsn): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_LSN_OUT_OF_RANGE',
    operation: 'lease',
    message: `timeline ${timelineId} can be read from ${formatLsn(gcCutoff)} to ${formatLsn(lastRecordLsn)}; asked for a lease at ${formatLsn(lsn)}`,
    context: { timelineId, lsn: formatLsn(lsn) },
  });
}

function tooMany({ timelineId }: LeasedTimeline): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_ARGUMENT',
    operation: 'lease',
    message: `timeline ${timelineId} has ${LEASES_MAX} leases already; they end after ${LEASE_MS / 60_000} minutes`,
    context: { timelineId },
  });
}
