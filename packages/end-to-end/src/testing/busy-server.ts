import { setTimeout as sleep } from 'node:timers/promises';
import { isPostgresProcessError, type PostgresServer } from '@neon-snapshot/postgres-process';

/** Clients that write, and change what files there are, until they are stopped. */
export interface BusyServer {
  /** Resolves when every client has been through all of its statements once; rejects with the first failure. */
  readonly warm: Promise<void>;
  /** Rejects with the first failure of a client. */
  stop(): Promise<void>;
}

const PREPARE = `
  CREATE TABLE busy (id bigint PRIMARY KEY, counter int NOT NULL DEFAULT 0, filler text);
  CREATE INDEX ON busy USING gin (to_tsvector('simple', filler));
  CREATE TABLE shrinking (id int, filler text);
  CREATE SEQUENCE busy_sequence;
  INSERT INTO busy SELECT g, 0, repeat(md5(g::text), 5) FROM generate_series(1, 3000) g`;

/** Each a statement or several, sent on their own. `$round` is the number of the round. */
const CLIENTS: readonly (readonly string[])[] = [
  [
    'UPDATE busy SET counter = counter + 1, filler = md5(random()::text) WHERE id % 7 = $round % 7',
    "INSERT INTO busy SELECT 1000000 + $round * 50 + g, $round, repeat('x', 300) FROM generate_series(1, 50) g",
    'DELETE FROM busy WHERE id > 1000000 AND id % 3 = $round % 3',
    "SELECT nextval('busy_sequence')",
  ],
  [
    'CREATE TABLE made_$round AS SELECT g AS id, md5(g::text) AS filler FROM generate_series(1, 500) g',
    'CREATE INDEX ON made_$round (filler)',
    'INSERT INTO shrinking SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 400) g',
    'DELETE FROM shrinking WHERE id > 50',
    'VACUUM shrinking',
    'VACUUM (FREEZE) busy',
    'TRUNCATE made_$round',
    'INSERT INTO made_$round VALUES ($round, NULL)',
    'DROP TABLE IF EXISTS made_$before',
    'REINDEX TABLE made_$round',
  ],
  [
    'CREATE DATABASE copy_$round',
    'DROP DATABASE IF EXISTS copy_$before',
    "BEGIN; INSERT INTO busy VALUES (-$round, 0, 'prepared'); PREPARE TRANSACTION 'busy-$round'",
    'CHECKPOINT',
    "COMMIT PREPARED 'busy-$round'",
    'BEGIN; SELECT count(*) FROM (SELECT * FROM busy WHERE id < 300 FOR SHARE) locked; SAVEPOINT a; UPDATE busy SET counter = 0 WHERE id < 100; ROLLBACK TO a; COMMIT',
  ],
];

/** Takes away what {@link keepBusy} left in a server, or in one that was made of a backup of it. */
export async function removeLoad(server: PostgresServer): Promise<void> {
  for (const { gid } of await server.query("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'busy-%'"))
    await server.query(`ROLLBACK PREPARED '${gid}'`);
  const tables = await server.query(
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND (relname IN ('busy', 'shrinking') OR relname LIKE 'made\\_%')",
  );
  for (const { relname } of tables) await server.query(`DROP TABLE ${relname}`);
  await server.query('DROP SEQUENCE busy_sequence');
  for (const { datname } of await server.query(
    "SELECT datname FROM pg_database WHERE datname LIKE 'copy\\_%'",
  ))
    await server.query(`DROP DATABASE ${datname}`);
}

/** `pauseMs`: between two statements of a client. */
export async function keepBusy(
  server: PostgresServer,
  { pauseMs = 0 }: { readonly pauseMs?: number } = {},
): Promise<BusyServer> {
  await server.query(PREPARE);
  const firstRounds = CLIENTS.map(() => Promise.withResolvers<void>());
  let isStopping = false;
  const clients = CLIENTS.map(async (statements, index) => {
    await using session = await server.connect();
    for (let round = 1; !isStopping; round += 1) {
      for (const statement of statements) {
        if (isStopping) break;
        if (pauseMs > 0) await sleep(pauseMs);
        const sql = statement
          .replaceAll('$round', `${round}`)
          .replaceAll('$before', `${Math.max(0, round - 2)}`);
        await session.query(sql).catch(async (error: unknown) => {
          if (!isDeadlock(error)) throw error;
          await session.query('ROLLBACK');
        });
      }
      firstRounds[index]?.resolve();
    }
  });
  const ended = Promise.all(clients);
  ended.catch(() => undefined);
  const warm = Promise.all(firstRounds.map(({ promise }) => promise));
  return {
    warm: Promise.race([warm, ended]).then(() => undefined),
    async stop() {
      isStopping = true;
      await ended;
    },
  };
}

/** Clients that lock rows side by side may meet one; Postgres has one of them begin again. */
function isDeadlock(error: unknown): boolean {
  return isPostgresProcessError(error, 'POSTGRES_PROCESS_QUERY') && error.context.sqlState === '40P01';
}
