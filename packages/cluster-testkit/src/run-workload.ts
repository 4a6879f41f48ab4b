import { dmlStatements, finalStatements, setupStatements } from './workload.ts';
import { specialStatements } from './workload-special.ts';

/** A running server, as far as the workload uses it. */
export interface WorkloadServer {
  readonly major: number;
  /** A path that the server can write and read. */
  readonly copyFile: string;
  connect(): Promise<AsyncDisposable & { query(sql: string): Promise<unknown> }>;
}

export interface RunWorkloadOptions {
  readonly scale: number;
  readonly rounds: number;
  readonly special: boolean;
  /** A checkpoint after each round. */
  readonly checkpoints: boolean;
  /** Called after each round and at the end, when nothing runs. */
  readonly onQuiet?: () => Promise<void>;
}

/** The workload as one session, with a second one where rows are to be locked by two transactions at once. */
export async function runWorkload(server: WorkloadServer, options: RunWorkloadOptions): Promise<void> {
  const { copyFile, major } = server;
  const settings = { scale: options.scale, copyFile, major };
  await using session = await server.connect();
  const run = async (statements: readonly string[]): Promise<void> => {
    for (const sql of statements) {
      // Several statements in one query would be one transaction, which COMMIT PREPARED and VACUUM do not allow.
      for (const part of sql.startsWith('do ') ? [sql] : sql.split('; ')) await session.query(part);
    }
  };
  await run(setupStatements());
  for (let round = 0; round < options.rounds; round++) {
    await run(dmlStatements(settings));
    await lockTogether(server);
    // What is touched from here on comes as full-page images first, also for mere hint bits where these are logged.
    if (options.checkpoints)
      await run(['checkpoint', 'select count(*) from t_btree', 'select count(*) from t_hot']);
    await options.onQuiet?.();
  }
  if (options.special) await run(specialStatements(settings));
  await options.onQuiet?.();
  await run(finalStatements(settings));
  await options.onQuiet?.();
}

/** Two transactions hold key-share locks on the same rows, one of them updates: multixacts, also on updated versions. */
async function lockTogether(server: WorkloadServer): Promise<void> {
  await using first = await server.connect();
  await using second = await server.connect();
  const lock = 'select * from t_mxact where id between 30 and 60 for key share';
  for (const session of [first, second]) {
    await session.query('begin');
    await session.query(lock);
  }
  await second.query('update t_mxact set v = v + 1 where id between 40 and 70');
  await first.query('select * from t_mxact where id between 30 and 70 for key share');
  await second.query('commit');
  await first.query('commit');
}
