import type { PqColumn } from '../row-codec.ts';
import type { CopyBothSession } from './copy-both-session.ts';

/** Text, bytes of text, or null. */
export type PqValue = string | Uint8Array | null;

/** What a handler answers to one query. `tag` is what CommandComplete says, such as `SELECT 1`. */
export type PqReply =
  | { readonly kind: 'command'; readonly tag: string }
  | {
      readonly kind: 'rows';
      readonly columns: readonly PqColumn[];
      readonly rows: Iterable<readonly PqValue[]> | AsyncIterable<readonly PqValue[]>;
      /** Default `SELECT n`. */
      readonly tag?: string;
    }
  | {
      readonly kind: 'copy-out';
      /** Each chunk is one CopyData; copied before the next is asked for, which waits while the client does not keep up. */
      readonly data: AsyncIterable<Uint8Array>;
      /** Default `COPY`. */
      readonly tag?: string;
    }
  | {
      readonly kind: 'copy-both';
      /** The stream ends when this does. */
      readonly run: (session: CopyBothSession) => Promise<void>;
      /** Default `COPY`. */
      readonly tag?: string;
    };

/** Of a client, from its startup message. */
export interface PqStartup {
  readonly user: string;
  /** Default: the user. */
  readonly database: string;
  readonly applicationName: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** `host:port`, or `socket`. */
  readonly peer: string;
}

export interface PqRequest<Identity> {
  readonly sql: string;
  readonly startup: PqStartup;
  /** What authentication found out. */
  readonly identity: Identity;
  /** Aborted when the client goes away or cancels, or the server ends. */
  readonly signal: AbortSignal;
}

/**
 * `trust` lets everyone in. `password` asks for one in clear text, a token or a JWT in Neon's case: `check` throws to
 * refuse, and what it throws the client is told as FATAL 28P01 unless it is a `PqError` with `server` fields.
 */
export type PqServerAuthentication<Identity> =
  | { readonly method: 'trust'; readonly identify: (startup: PqStartup) => Identity }
  | {
      readonly method: 'password';
      readonly check: (startup: PqStartup, password: string) => Identity | Promise<Identity>;
    };
