/** Kinds of requests, by Neon's names in its metric `pageserver_smgr_query_seconds_global`. */
export type QueryKind =
  | 'get_rel_exists'
  | 'get_rel_size'
  | 'get_page_at_lsn'
  | 'get_db_size'
  | 'get_slru_segment';

/** Upper bounds in seconds, as Neon's page server has them for these. */
const BOUNDS = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];

interface Times {
  /** Of each bound, and of those above the last. */
  readonly counts: number[];
  sumSeconds: number;
}

/** How long requests of the pagestream took, waiting for WAL and for storage included. */
export class QueryTimes {
  readonly #byKind = new Map<QueryKind, Times>();

  add(kind: QueryKind, seconds: number): void {
    let times = this.#byKind.get(kind);
    if (times === undefined) {
      times = { counts: new Array<number>(BOUNDS.length + 1).fill(0), sumSeconds: 0 };
      this.#byKind.set(kind, times);
    }
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] ?? 0)) bucket += 1;
    times.counts[bucket] = (times.counts[bucket] ?? 0) + 1;
    times.sumSeconds += seconds;
  }

  /** A Prometheus histogram without its head. */
  lines(name: string): string[] {
    return [...this.#byKind].flatMap(([kind, { counts, sumSeconds }]) => {
      const label = `smgr_query_type="${kind}"`;
      let total = 0;
      const buckets = counts.map((count, index) => {
        total += count;
        return `${name}_bucket{${label},le="${BOUNDS[index] ?? '+Inf'}"} ${total}`;
      });
      return [...buckets, `${name}_sum{${label}} ${sumSeconds}`, `${name}_count{${label}} ${total}`];
    });
  }
}
