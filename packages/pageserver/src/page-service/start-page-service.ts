import { type Lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import {
  listenPq,
  PqError,
  type PqReply,
  type PqServerAuthentication,
  type PqStartup,
  textColumn,
} from '@neon-snapshot/pq-proto';
import { assertScope, type JwtClaims, type JwtVerifier } from '../access/jwt.ts';
import { assertSafeAddress, type ListenAddress } from '../access/listen-address.ts';
import type { BackupOptions } from '../backup/backup-members.ts';
import { writeBackup } from '../backup/write-backup.ts';
import type { ListeningService } from '../http/start-http-server.ts';
import type { PageServer } from '../page-server/page-server.ts';
import { isPageServerError, PageServerError, type PageServerErrorCode } from '../page-server-error.ts';
import type { Timeline } from '../timeline/timeline.ts';
import { type PageCommand, parsePageCommand } from './page-command.ts';
import { servePagestream } from './pagestream.ts';
import { backupLsn } from './read-lsn.ts';

export interface StartPageServiceOptions extends ListenAddress {
  readonly pageServer: PageServer;
  /** How long a request waits for WAL. Default 300 s, as Neon's `wait_lsn_timeout`. */
  readonly waitTimeoutMs?: number | undefined;
  readonly connectionsMax?: number | undefined;
  /** What failed for a reason that is not the client's. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const WAIT_TIMEOUT_MS = 300_000;
/** SQLSTATEs, errcodes.txt of Postgres. */
const SQL_STATES: Partial<Record<PageServerErrorCode, string>> = {
  PAGESERVER_NOT_FOUND: '42704',
  PAGESERVER_INVALID_ARGUMENT: '22023',
  PAGESERVER_LSN_OUT_OF_RANGE: '22023',
  PAGESERVER_UNAUTHORIZED: '28P01',
  PAGESERVER_FORBIDDEN: '42501',
  PAGESERVER_CLOSED: '57P01',
  PAGESERVER_FENCED: '57P01',
};

/** Serves Neon's page service on libpq: `pagestream_v2` and `v3`, `basebackup`, `fullbackup`, `lease lsn`. */
export async function startPageService(options: StartPageServiceOptions): Promise<ListeningService> {
  assertSafeAddress(options);
  const { host, port, connectionsMax, onError } = options;
  return await listenPq<JwtClaims | undefined>({
    listen: { host, port },
    authentication: authenticationBy(options.auth),
    ...(connectionsMax === undefined ? {} : { connectionsMax }),
    handle: async ({ sql, identity, signal }) => {
      try {
        return await handle(parsePageCommand(sql), { options, claims: identity, signal });
      } catch (error) {
        throw toPqError(error);
      }
    },
    onError: (error) => {
      if (!isPageServerError(causeOf(error)) && onError) onError(error);
    },
  });
}

function authenticationBy(auth: JwtVerifier | undefined): PqServerAuthentication<JwtClaims | undefined> {
  if (auth === undefined) return { method: 'trust', identify: () => undefined };
  return { method: 'password', check: (_startup: PqStartup, token) => auth.verify(token) };
}

interface CommandContext {
  readonly options: StartPageServiceOptions;
  readonly claims: JwtClaims | undefined;
  readonly signal: AbortSignal;
}

async function handle(command: PageCommand, context: CommandContext): Promise<PqReply> {
  if (command.kind === 'set') return { kind: 'command', tag: 'SELECT 1' };
  const { options, signal } = context;
  const timeline = timelineOf(command, context);
  const isKept = (lsn: Lsn) => options.pageServer.leases.isKept(timeline.timelineId, lsn);
  const waitTimeoutMs = options.waitTimeoutMs ?? WAIT_TIMEOUT_MS;
  switch (command.kind) {
    case 'pagestream': {
      const onError = (error: unknown) => options.onError?.(error);
      const { version } = command;
      const { queryTimes } = options.pageServer;
      return {
        kind: 'copy-both',
        run: (session) =>
          servePagestream({ session, timeline, version, isKept, waitTimeoutMs, queryTimes, onError }),
      };
    }
    case 'lease':
      return await leaseReply(options.pageServer, timeline, command.lsn);
    case 'basebackup':
    case 'fullbackup': {
      const lsn = await backupLsn(timeline, command.lsn, { isKept, waitTimeoutMs, signal });
      const prevLsn = prevLsnOf(command, timeline, lsn);
      return { kind: 'copy-out', data: backup(command, { timeline, lsn, prevLsn, signal }) };
    }
  }
}

function timelineOf(
  { tenantId, timelineId }: { readonly tenantId: string; readonly timelineId: string },
  { options, claims }: CommandContext,
): Timeline {
  if (claims !== undefined) assertScope(claims, tenantId);
  if (tenantId === options.pageServer.tenantId) return options.pageServer.timeline(timelineId);
  throw new PageServerError({
    code: 'PAGESERVER_NOT_FOUND',
    operation: 'page service',
    message: `this page server has no tenant ${tenantId}`,
    context: { tenantId },
  });
}

/** `valid_until` in Unix milliseconds; null where the LSN cannot be kept. */
async function leaseReply({ leases }: PageServer, timeline: Timeline, lsn: Lsn): Promise<PqReply> {
  return { kind: 'rows', columns: [textColumn('valid_until')], rows: [[await grant()]] };
  async function grant(): Promise<string | null> {
    try {
      return String((await leases.grantFor(timeline, lsn)).getTime());
    } catch (error) {
      if (isPageServerError(error, 'PAGESERVER_LSN_OUT_OF_RANGE')) return null;
      throw error;
    }
  }
}

type BackupCommand = Extract<PageCommand, { readonly kind: 'basebackup' | 'fullbackup' }>;

interface BackupPlace {
  readonly timeline: Timeline;
  readonly lsn: Lsn;
  readonly prevLsn: BackupOptions['prevLsn'];
  readonly signal: AbortSignal;
}

async function* backup(
  command: BackupCommand,
  { timeline, lsn, prevLsn, signal }: BackupPlace,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = await timeline.readerAt(lsn, { signal });
  try {
    const full = command.kind === 'fullbackup';
    yield* writeBackup({
      reader,
      kind: full ? 'full' : 'base',
      prevLsn,
      replica: full ? false : command.replica,
      gzip: full ? false : command.gzip,
      now: new Date(),
      signal,
    });
  } finally {
    reader.close();
  }
}

/** Start of the record that ends at the LSN, as far as it is known; nothing precedes the first record of a branch. */
function prevLsnOf(command: BackupCommand, timeline: Timeline, lsn: Lsn): Lsn | 'none' | undefined {
  const known = lsn === timeline.lastRecordLsn ? timeline.prevRecordLsn : undefined;
  const given = command.kind === 'fullbackup' ? command.prevLsn : undefined;
  if (given !== undefined && known !== undefined && given !== known)
    throw new PageServerError({
      code: 'PAGESERVER_INVALID_ARGUMENT',
      operation: 'backup',
      message: 'the previous LSN that is given is not the one of the timeline',
    });
  const prevLsn = given ?? known;
  if (prevLsn !== undefined && prevLsn !== ZERO_LSN) return prevLsn;
  return timeline.ancestor?.lsn === lsn ? 'none' : undefined;
}

function toPqError(error: unknown): unknown {
  if (!isPageServerError(error)) return error;
  const code = SQL_STATES[error.code] ?? 'XX000';
  return new PqError({
    code: 'PQ_SERVER',
    operation: 'page service',
    message: error.message,
    server: { severity: 'ERROR', code, message: error.message },
    cause: error,
  });
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}
