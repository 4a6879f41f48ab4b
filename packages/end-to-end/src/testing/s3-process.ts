import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { S3FaultEffect, S3Quirks } from '@neon-snapshot/s3-test-server';
import type { S3Order } from './s3-server-worker.ts';

/** How a storage is away. */
export type OutageKind =
  /** Connections are accepted and nothing is ever answered, as when packets are dropped. */
  | 'silent'
  /** Connections are reset. */
  | 'reset'
  /** Every request is answered with 503 SlowDown. */
  | '503';

/** An S3 server in a process of its own. */
export interface S3Process extends AsyncDisposable {
  readonly url: string;
  /** What the CLI needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
  breakDown(kind: OutageKind): Promise<void>;
  /** Returns how many requests were hit; of silence that is not known. */
  recover(): Promise<number>;
}

const BUCKET = 'bucket';
const WORKER = path.join(import.meta.dirname, 's3-server-worker.ts');
const EFFECTS: Readonly<Record<Exclude<OutageKind, 'silent'>, S3FaultEffect>> = {
  reset: { kind: 'reset', when: 'before' },
  503: { kind: 'error', status: 503, code: 'SlowDown' },
};

export async function startS3Process(directory: string, quirks: S3Quirks = {}): Promise<S3Process> {
  await mkdir(directory, { recursive: true });
  const child = fork(WORKER, [BUCKET, directory, JSON.stringify(quirks)], {
    execArgv: ['--conditions=@neon-snapshot/source'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const { endpoint } = await answer<{ endpoint: string }>(child);
  const order = async (what: S3Order): Promise<number> => {
    const answered = answer<{ hits: number }>(child);
    child.send(what);
    return (await answered).hits;
  };
  let isSilent = false;
  return {
    url: `s3://${BUCKET}/prefix`,
    env: {
      AWS_ENDPOINT: endpoint,
      AWS_REGION: 'us-east-1',
      AWS_S3_FORCE_PATH_STYLE: 'true',
      AWS_ACCESS_KEY_ID: 'TESTKEY',
      AWS_SECRET_ACCESS_KEY: 'TESTSECRET',
    },
    async breakDown(kind) {
      if (kind !== 'silent') return void (await order({ effect: EFFECTS[kind] }));
      isSilent = true;
      child.kill('SIGSTOP');
    },
    async recover() {
      if (!isSilent) return order({});
      isSilent = false;
      child.kill('SIGCONT');
      return 0;
    },
    async [Symbol.asyncDispose]() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

function answer<Message>(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error('the S3 server ended'));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message as Message);
    });
  });
}
