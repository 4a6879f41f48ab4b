import type { IncomingHttpHeaders } from 'node:http';
import type { S3Operation } from './route.ts';

/** One request that was received. */
export interface S3LogEntry {
  readonly operation: S3Operation | undefined;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** Status of the reply; 0 where the connection was reset instead. */
  readonly status: number;
}

/** Every request since the start or the last `clear`, in the order of their ends. */
export class RequestLog {
  readonly #entries: S3LogEntry[] = [];
  readonly #inFlight = new Map<S3Operation | undefined, number>();
  readonly #peaks = new Map<S3Operation | undefined, number>();

  /** Entries, of one operation where it is given. */
  entries(operation?: S3Operation): readonly S3LogEntry[] {
    return this.#entries.filter((entry) => operation === undefined || entry.operation === operation);
  }

  count(operation?: S3Operation): number {
    return this.entries(operation).length;
  }

  /** The most requests of one operation that were in work at the same time. */
  peakInFlight(operation: S3Operation): number {
    return this.#peaks.get(operation) ?? 0;
  }

  clear(): void {
    this.#entries.length = 0;
    this.#peaks.clear();
  }

  /** Notes the begin of a request; the returned function notes its end. */
  begin(operation: S3Operation | undefined): (entry: Omit<S3LogEntry, 'operation'>) => void {
    const now = (this.#inFlight.get(operation) ?? 0) + 1;
    this.#inFlight.set(operation, now);
    this.#peaks.set(operation, Math.max(this.#peaks.get(operation) ?? 0, now));
    return (entry) => {
      this.#inFlight.set(operation, (this.#inFlight.get(operation) ?? 1) - 1);
      this.#entries.push({ operation, ...entry });
    };
  }
}
