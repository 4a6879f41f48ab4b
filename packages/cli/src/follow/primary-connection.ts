import {
  type ConnectPqOptions,
  connectPq,
  isPqError,
  type PqConfig,
  type PqConnection,
  resolvePqConfig,
} from '@neon-snapshot/pq-proto';
import { serverEnvironment } from '../open-source.ts';
import type { Session } from '../session.ts';
import type { FollowSource } from './followed-primary.ts';

const APPLICATION_NAME = 'neon-snapshot';
/** SQLSTATEs duplicate_object and undefined_object. */
const DUPLICATE_OBJECT = '42710';
const UNDEFINED_OBJECT = '42704';

/** What is to be known of a primary before it is followed. */
export interface PrimaryFacts {
  readonly config: PqConfig;
  readonly timeLineId: number;
  /** This command made the slot. */
  readonly madeSlot: boolean;
}

/** A replication connection to a primary that is named by its URL. */
export function connectPrimary(session: Session, server: string): Promise<PqConnection> {
  return connectPq({
    connectionString: server,
    env: serverEnvironment(session.env),
    replication: 'physical',
    applicationName: APPLICATION_NAME,
    signal: session.signal,
  });
}

/** Makes the slot, so that from here on no WAL is lost. Warns where the primary may drop it. */
export async function reservePrimary(
  session: Session,
  { server, slot }: { readonly server: string; readonly slot: string },
): Promise<PrimaryFacts> {
  const { signal } = session;
  const env = serverEnvironment(session.env);
  const config = resolvePqConfig({ connectionString: server, env });
  await using connection = await connectPrimary(session, server);
  const { timeLineId } = await connection.identifySystem({ signal });
  const kept = await connection.show('max_slot_wal_keep_size', { signal });
  if (kept !== '-1') {
    session.output.warn(
      `the primary has max_slot_wal_keep_size = ${kept}: while nothing follows it, it drops the slot ${slot} once more WAL than that is kept for it; then it has to be followed anew, into a new storage_dest`,
    );
  }
  return { config, timeLineId, madeSlot: await makeSlot(connection, slot) };
}

async function makeSlot(connection: PqConnection, name: string): Promise<boolean> {
  try {
    await connection.createPhysicalSlot({ name, reserveWal: true });
    return true;
  } catch (error) {
    if (isPqError(error) && error.server?.code === DUPLICATE_OBJECT) return false;
    throw error;
  }
}

export type PrimaryPlace = Pick<
  ConnectPqOptions,
  'connectionString' | 'host' | 'port' | 'user' | 'passfile' | 'tls' | 'tlsRootCertificate' | 'env'
>;

/** Without effect where there is none. */
export async function dropPrimarySlot(
  place: PrimaryPlace,
  slot: string,
  signal?: AbortSignal,
): Promise<void> {
  await using connection = await connectPq({
    ...place,
    replication: 'physical',
    applicationName: APPLICATION_NAME,
    signal,
  });
  try {
    await connection.dropSlot(slot, { wait: true });
  } catch (error) {
    if (!isPqError(error) || error.server?.code !== UNDEFINED_OBJECT) throw error;
  }
}

/** What the primary says of our slot (`pg_replication_slots`): a reason to worry, in words, or undefined. */
export async function findSlotTrouble(
  source: FollowSource,
  signal: AbortSignal,
): Promise<string | undefined> {
  await using connection = await connectPq({
    ...placeOf(source),
    database: 'postgres',
    applicationName: APPLICATION_NAME,
    signal,
  });
  const sql = `SELECT wal_status, safe_wal_size FROM pg_catalog.pg_replication_slots WHERE slot_name = '${source.slot}'`;
  const [result] = await connection.query(sql, { signal });
  const [row] = result?.rows ?? [];
  if (row === undefined)
    return `the slot ${source.slot} is gone; follow the primary anew, into a new storage_dest`;
  const [status, safeBytes] = row;
  if (status === 'reserved' || status === 'extended') return undefined;
  return `the slot ${source.slot} is ${status ?? 'invalid'}${safeBytes === null || safeBytes === undefined ? '' : `, ${safeBytes} bytes of WAL before it is dropped`}`;
}

/** How to reach a primary that is followed already. */
export function placeOf({ host, port, user, passfile, tls, tlsRootCertificate }: FollowSource): PrimaryPlace {
  return { host, port, user, passfile, tls, tlsRootCertificate, env: {} };
}
