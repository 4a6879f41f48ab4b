import { readFile } from 'node:fs/promises';
import pg from 'pg';

/** Transactions of several clients, each of which numbers its own and remembers which were acknowledged. */
export interface CommitLoad {
  /** Ends with the server that it runs on, or by `stop`. */
  readonly ended: Promise<void>;
  /** Of each client: the number of its last acknowledged commit and when that was, oldest first. */
  readonly acknowledged: readonly (readonly { readonly number: number; readonly at: number }[])[];
  /** The number of its first client. */
  readonly firstClient: number;
  stop(): Promise<void>;
}

/** What the table holds of one client. */
interface StoredCommits {
  readonly count: number;
  readonly last: number;
}

/** Connects with the password of the file that the connection string names, as libpq does. */
export async function connect(connectionString: string): Promise<pg.Client> {
  const url = new URL(connectionString);
  const passfile = await readFile(url.searchParams.get('passfile') ?? '', 'utf8');
  const user = decodeURIComponent(url.username);
  const line = passfile.split('\n').find((each) => each.startsWith(`*:*:*:${user}:`));
  const client = new pg.Client({
    host: url.hostname,
    port: Number(url.port),
    user,
    database: url.pathname.slice(1) || 'postgres',
    password: line?.slice(`*:*:*:${user}:`.length),
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

export async function prepareLoad(connectionString: string): Promise<void> {
  const client = await connect(connectionString);
  try {
    await client.query(`
      CREATE TABLE commits (client int, number int, filler text, PRIMARY KEY (client, number));
      CREATE TABLE counters (client int PRIMARY KEY, number int);
      INSERT INTO counters SELECT generate_series(0, 15), 0`);
  } finally {
    await client.end();
  }
}

/** Each client goes on behind what is stored of it. There are 16 of them. */
export async function startLoad(
  connectionString: string,
  clientCount: number,
  firstClient = 0,
): Promise<CommitLoad> {
  let isStopping = false;
  const acknowledged = Array.from({ length: clientCount }, () => [] as { number: number; at: number }[]);
  const clients = await Promise.all(
    Array.from({ length: clientCount }, async (_, client) => ({
      session: await connect(connectionString),
      client: firstClient + client,
      commits: acknowledged[client],
    })),
  );
  const ended = Promise.all(
    clients.map(async ({ session, client, commits }) => {
      const { last } = await storedCommits(session, client);
      for (let number = last + 1; !isStopping; number += 1) {
        try {
          await session.query('BEGIN');
          await session.query('INSERT INTO commits VALUES ($1, $2, repeat(md5(random()::text), 10))', [
            client,
            number,
          ]);
          await session.query('UPDATE counters SET number = $2 WHERE client = $1', [client, number]);
          await session.query('COMMIT');
        } catch (error) {
          // The server is gone, or is going (class 57), or has no room (class 53): this one was not acknowledged.
          if (error instanceof pg.DatabaseError && /^(53|57)/.test(error.code ?? '') === false) throw error;
          break;
        }
        commits?.push({ number, at: performance.now() });
      }
      await session.end().catch(() => undefined);
    }),
  ).then(() => undefined);
  return {
    ended,
    acknowledged,
    firstClient,
    stop: () => {
      isStopping = true;
      return ended;
    },
  };
}

export interface CommitCheck {
  /** How many commits the load was told of. */
  readonly acknowledged: number;
  /** Those of them that are not there, by when they were acknowledged, in milliseconds of `performance.now`. */
  readonly missingSince: readonly number[];
  /** What no loss of a machine excuses, in words: holes, halves of transactions. */
  readonly faults: readonly string[];
}

/** Compares what is stored of a load's clients with what the load was told. */
export async function checkCommits(connectionString: string, load: CommitLoad): Promise<CommitCheck> {
  const session = await connect(connectionString);
  const faults: string[] = [];
  const missingSince: number[] = [];
  try {
    for (const [index, commits] of load.acknowledged.entries()) {
      const client = load.firstClient + index;
      const { count, last } = await storedCommits(session, client);
      const { rows } = await session.query<{ number: number }>(
        'SELECT number FROM counters WHERE client = $1',
        [client],
      );
      missingSince.push(...commits.filter(({ number }) => number > last).map(({ at }) => at));
      if (count !== last) faults.push(`client ${client}: ${count} commits up to ${last}`);
      if (rows[0]?.number !== last)
        faults.push(`client ${client}: its counter is ${rows[0]?.number}, not ${last}`);
    }
  } finally {
    await session.end();
  }
  return { acknowledged: countAcknowledged(load), missingSince, faults };
}

export function countAcknowledged({ acknowledged }: CommitLoad): number {
  return acknowledged.reduce((sum, commits) => sum + commits.length, 0);
}

/** What is wrong with the stored commits after a load, in words: acknowledged ones that are missing, holes, halves of transactions. */
export async function findLostCommits(connectionString: string, load: CommitLoad): Promise<string[]> {
  const { missingSince, faults } = await checkCommits(connectionString, load);
  const lost = missingSince.length === 0 ? [] : [`${missingSince.length} acknowledged commits are missing`];
  const idle = load.acknowledged.some((commits) => commits.length === 0)
    ? ['a client had no commit at all']
    : [];
  return [...lost, ...idle, ...faults];
}

async function storedCommits(session: pg.Client, client: number): Promise<StoredCommits> {
  const { rows } = await session.query<{ count: string; last: number | null }>(
    'SELECT count(*) AS count, max(number) AS last FROM commits WHERE client = $1',
    [client],
  );
  return { count: Number(rows[0]?.count), last: rows[0]?.last ?? 0 };
}
