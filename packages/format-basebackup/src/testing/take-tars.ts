import type { PostgresServer } from '@neon-snapshot/postgres-process';
import { connectPq } from '@neon-snapshot/pq-proto';
import type { Storage } from '@neon-snapshot/storage-core';

const END_MARK = new Uint8Array(1024);

/** The tars of a running server as it sends them, WAL inside of base.tar; incremental to a backup by its manifest. */
export async function takeTars(
  server: PostgresServer,
  storage: Storage,
  options: { readonly incrementalTo?: Storage } = {},
): Promise<void> {
  await using connection = await connectPq({
    host: server.socketDirectory,
    port: server.port,
    user: server.superuser,
    replication: 'physical',
  });
  const incrementalTo =
    options.incrementalTo === undefined
      ? undefined
      : (await options.incrementalTo.get('backup_manifest')).body;
  await using backup = await connection.baseBackup({
    checkpoint: 'fast',
    wal: true,
    wait: false,
    ...(incrementalTo === undefined ? {} : { incrementalTo }),
  });
  for await (const part of backup.parts()) {
    if (part.kind === 'manifest') await storage.put('backup_manifest', part.data);
    else await storage.put(part.name, connection.serverMajor < 15 ? ended(part.data) : part.data);
  }
  await backup.finish();
}

async function* ended(data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield* data;
  yield END_MARK;
}
