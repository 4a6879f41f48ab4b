import { randomBytes } from 'node:crypto';
import {
  assertKnownOptions,
  FormatError,
  type LiveReadContext,
  type SnapshotReader,
  stringOption,
} from '@neon-snapshot/format-core';
import { connectPq, isPqError, type PqConnection, resolvePqConfig } from '@neon-snapshot/pq-proto';
import { LIVE_OPTIONS } from '../options.ts';
import { LiveBackupReader } from './live-backup-reader.ts';
import { infoOf, readServerFacts } from './server-facts.ts';
import { onServer } from './server-fault.ts';

/**
 * Begins a base backup of a running server (14 to 18) over the replication protocol: one connection for the backup, one for the
 * WAL that is made meanwhile, which a slot keeps there. Both end with the reader, and so does the slot unless it was named.
 */
export async function openLiveReader(context: LiveReadContext): Promise<SnapshotReader> {
  assertKnownOptions(context.options, LIVE_OPTIONS);
  const { signal } = context;
  const checkpoint = checkpointOption(context);
  const label = stringOption(context.options, 'label');
  const opened: PqConnection[] = [];
  try {
    return await onServer('begin base backup', async () => {
      const connection = await connect(context, opened);
      const facts = await readServerFacts(connection, { signal });
      const wal = await connect(context, opened);
      // A standby of 14 streams nothing to who has not asked.
      await wal.identifySystem({ signal });
      const slot = await openSlot(wal, { name: stringOption(context.options, 'slot'), signal });
      const { timeLineId } = await connection.identifySystem({ signal });
      const history = timeLineId > 1 ? await connection.timelineHistory(timeLineId, { signal }) : undefined;
      const backup = await connection.baseBackup({
        checkpoint,
        progress: true,
        wait: false,
        signal,
        ...(label === undefined ? {} : { label }),
      });
      return new LiveBackupReader({
        info: infoOf(facts, backup),
        backup,
        connection,
        wal,
        slot,
        history,
        url: describeServer(context),
        signal,
      });
    });
  } catch (error) {
    for (const connection of opened) await connection[Symbol.asyncDispose]();
    throw error;
  }
}

/** SQLSTATE duplicate_object: it is there already. */
const DUPLICATE_OBJECT = '42710';

/** The named slot, which stays, or one that goes with the connection. */
async function openSlot(
  wal: PqConnection,
  { name, signal }: { readonly name: string | undefined; readonly signal: AbortSignal | undefined },
): Promise<string> {
  if (name === undefined) {
    const slot = `neon_snapshot_${randomBytes(8).toString('hex')}`;
    await wal.createPhysicalSlot({ name: slot, temporary: true, reserveWal: true, signal });
    return slot;
  }
  try {
    await wal.createPhysicalSlot({ name, reserveWal: true, signal });
  } catch (error) {
    if (!isPqError(error) || error.server?.code !== DUPLICATE_OBJECT) throw error;
  }
  return name;
}

async function connect(
  { server, env, services, signal }: LiveReadContext,
  opened: PqConnection[],
): Promise<PqConnection> {
  const connection = await connectPq({
    connectionString: server,
    env,
    replication: 'physical',
    applicationName: 'neon-snapshot',
    onNotice: ({ severity, message }) => {
      if (severity === 'WARNING') services.warn(`the server says: ${message}`);
    },
    signal,
  });
  opened.push(connection);
  return connection;
}

/** For messages: no password. */
function describeServer({ server, env }: LiveReadContext): string {
  const { host, port, user } = resolvePqConfig({ connectionString: server, env });
  return `postgresql://${user}@${host ?? ''}:${port}`;
}

function checkpointOption({ options }: LiveReadContext): 'fast' | 'spread' {
  const value = stringOption(options, 'checkpoint') ?? 'fast';
  if (value === 'fast' || value === 'spread') return value;
  throw new FormatError({
    code: 'FORMAT_OPTION',
    operation: 'read options',
    message: `checkpoint=${value}: expected fast or spread`,
    context: { option: 'checkpoint' },
  });
}
