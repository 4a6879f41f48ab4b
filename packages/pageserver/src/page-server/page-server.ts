import { PageServerError } from '../page-server-error.ts';
import type { Timeline } from '../timeline/timeline.ts';
import type { PageServerConfig, PageServerOptions } from './options.ts';
import type { WalSource, WalSourceState } from './wal-source.ts';

function unfinished(): never {
  throw new PageServerError({ code: 'PAGESERVER_IO', operation: 'open', message: 'not built yet' });
}

/** All timelines of one tenant, under one lease. */
export class PageServer implements AsyncDisposable {
  readonly tenantId: string;
  readonly config: PageServerConfig;

  private constructor(tenantId: string, config: PageServerConfig) {
    this.tenantId = tenantId;
    this.config = config;
  }

  /** Loads every timeline of the tenant, recovers its raw WAL, and takes it over under the lease's generation. */
  static open(_options: PageServerOptions): Promise<PageServer> {
    return unfinished();
  }

  get generation(): number {
    return unfinished();
  }
  /** Fires when this page server was fenced: the reason is a `PAGESERVER_FENCED` that says who holds the lease. */
  get signal(): AbortSignal {
    return unfinished();
  }
  timelines(): readonly Timeline[] {
    return unfinished();
  }
  /** Throws `PAGESERVER_NOT_FOUND`. */
  timeline(_timelineId: string): Timeline {
    return unfinished();
  }
  /** Loads a timeline whose index was just put into the storage. */
  addTimeline(_timelineId: string): Promise<Timeline> {
    return unfinished();
  }
  /** Stops a timeline and forgets it; its objects are the caller's. */
  removeTimeline(_timelineId: string): Promise<void> {
    return unfinished();
  }
  /** Takes a timeline's WAL from there from now on, also after a restart. */
  setWalSource(_timelineId: string, _source: WalSource): Promise<void> {
    return unfinished();
  }
  removeWalSource(_timelineId: string): Promise<void> {
    return unfinished();
  }
  walSource(_timelineId: string): WalSourceState | undefined {
    return unfinished();
  }
  /** Stops taking WAL, pushes everything, releases the lease. Never rejects for a storage that does not answer within `timeoutMs` (default 60 s): then the raw WAL's last state stays what is there. */
  close(_options?: { readonly timeoutMs?: number }): Promise<void> {
    return unfinished();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
