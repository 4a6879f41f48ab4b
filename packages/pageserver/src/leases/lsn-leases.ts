import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import type { PinnedLsn } from '../gc/retained-points.ts';
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

export interface LsnLeasesOptions {
  readonly now: () => Date;
  /** Whether a named snapshot keeps an LSN of a timeline. */
  readonly isNamed: (timelineId: string, lsn: Lsn) => Promise<boolean>;
}

/** LSNs that garbage collection leaves readable for a while, since somebody said that he reads there. In memory only, as Neon's. */
export class LsnLeases {
  readonly #options: LsnLeasesOptions;
  readonly #untilByTimeline = new Map<string, Map<Lsn, Date>>();
  /** Being looked up: kept meanwhile, and not readable yet. */
  readonly #asked = new Set<PinnedLsn>();

  constructor(options: LsnLeasesOptions) {
    this.#options = options;
  }

  /**
   * Whether an LSN before the GC cutoff can be read: it is leased, or a named snapshot keeps it, and then it gets a lease, so that
   * it stays readable although the name may go.
   */
  isKept(timelineId: string, lsn: Lsn): boolean | Promise<boolean> {
    return this.isLeased(timelineId, lsn) || this.#lookUp({ timelineId, lsn });
  }

  async #lookUp(point: PinnedLsn): Promise<boolean> {
    const { timelineId, lsn } = point;
    // Garbage collection that asks from here on leaves it alone; one that asked before saw the name, if it is there now.
    this.#asked.add(point);
    try {
      const isNamed = await this.#options.isNamed(timelineId, lsn);
      if (isNamed) this.#grant(timelineId, lsn);
      return isNamed;
    } finally {
      this.#asked.delete(point);
    }
  }

  /**
   * Grants or renews, and gives when it ends. Throws `PAGESERVER_LSN_OUT_OF_RANGE` for an LSN that cannot be read any more and is not
   * leased, or not yet.
   */
  async grantFor(timeline: LeasedTimeline, lsn: Lsn): Promise<Date> {
    const { timelineId, gcCutoff, lastRecordLsn } = timeline;
    const isKept = lsn >= gcCutoff || (await this.isKept(timelineId, lsn));
    if (!isKept || lsn > lastRecordLsn) throw outOfRange(timeline, lsn);
    return this.#grant(timelineId, lsn);
  }

  #grant(timelineId: string, lsn: Lsn): Date {
    const ofTimeline = this.#untilByTimeline.get(timelineId) ?? new Map<Lsn, Date>();
    if (ofTimeline.size >= LEASES_MAX && !ofTimeline.has(lsn)) throw tooMany(timelineId);
    const until = new Date(this.#options.now().getTime() + LEASE_MS);
    this.#untilByTimeline.set(timelineId, ofTimeline.set(lsn, until));
    return until;
  }

  /** Those that have not ended. */
  leased(timelineId: string): readonly Lsn[] {
    const ofTimeline = this.#untilByTimeline.get(timelineId);
    if (ofTimeline === undefined) return [];
    const now = this.#options.now();
    for (const [lsn, until] of ofTimeline) if (until <= now) ofTimeline.delete(lsn);
    if (ofTimeline.size === 0) this.#untilByTimeline.delete(timelineId);
    return [...ofTimeline.keys()];
  }

  /** Of all timelines, for garbage collection. */
  pinned(): readonly PinnedLsn[] {
    const leased = [...this.#untilByTimeline.keys()].flatMap((timelineId) =>
      this.leased(timelineId).map((lsn) => ({ timelineId, lsn })),
    );
    return [...leased, ...this.#asked];
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

function tooMany(timelineId: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_ARGUMENT',
    operation: 'lease',
    message: `timeline ${timelineId} has ${LEASES_MAX} leases already; they end after ${LEASE_MS / 60_000} minutes`,
    context: { timelineId },
  });
}
