/** Neon's page server program as a child of this process, with a tenant attached. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { callPageServer, sendRequest } from '../page-server-client.ts';
import { RunnerError, throwIfAborted } from '../runner-error.ts';
import { type NeonSettings, writeNeonSettings } from './settings.ts';

export interface NeonPageServerOptions extends NeonSettings {
  readonly program: string;
  readonly tenantId: string;
  readonly generation: number;
  /** With the credentials of the storage. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
}

/** Dispose it to stop the program: TERM, which flushes what is in memory, and KILL when that takes too long. */
export interface NeonPageServer extends AsyncDisposable {
  readonly pid: number;
  /** How it ended, once it has. */
  readonly exited: Promise<string>;
  /** At once: for a page server that may not write any more. */
  kill(): void;
}

const START_TIMEOUT_MS = 60_000;
const ACTIVATION_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 50;

/** Returns when the tenant is active. What the program prints goes where our output goes. Throws `RUNNER_START_FAILED`, `RUNNER_HTTP`. */
export async function startNeonPageServer(options: NeonPageServerOptions): Promise<NeonPageServer> {
  await writeNeonSettings(options);
  const child = spawn(resolve(options.program), ['-D', options.directory], {
    cwd: options.directory,
    env: { RUST_BACKTRACE: '1', ...options.env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const exited = new Promise<string>((done) => {
    child.once('error', (error) => done(error.message));
    child.once('exit', (code, signal) => done(signal ?? `exit code ${code}`));
  });
  if (child.pid !== undefined) endWithThisProcess(child.pid, exited);
  const server = new ChildPageServer(child, exited);
  try {
    await untilAnswering(options, exited);
    await attachTenant(options);
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** Without us nobody renews the lease: a shell that notices our end, however we end, kills the program. */
function endWithThisProcess(pid: number, exited: Promise<unknown>): void {
  const shell = spawn('/bin/sh', ['-c', 'read -r line; kill -KILL "$1"', 'neon-watchdog', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: {},
    cwd: '/',
  });
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  shell.unref();
  void exited.then(() => shell.kill('SIGKILL'));
}

class ChildPageServer implements NeonPageServer {
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, exited: Promise<string>) {
    this.#child = child;
    this.exited = exited;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.pid === undefined) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), STOP_TIMEOUT_MS);
    await this.exited;
    clearTimeout(timer);
  }
}

async function untilAnswering(options: NeonPageServerOptions, exited: Promise<string>): Promise<void> {
  const startedAt = performance.now();
  let ended: string | undefined;
  void exited.then((how) => {
    ended = how;
  });
  while (performance.now() - startedAt < START_TIMEOUT_MS) {
    throwIfAborted(options.signal, 'start page server');
    if (ended !== undefined) throw startFailure(options, `ended while starting: ${ended}`);
    if (await isAnswering(options.httpPort)) return;
    await delay(POLL_INTERVAL_MS);
  }
  throw startFailure(options, `did not answer within ${START_TIMEOUT_MS} ms`);
}

function isAnswering(httpPort: number): Promise<boolean> {
  return sendRequest({ host: '127.0.0.1', httpPort }, { method: 'GET', path: '/v1/status' }).then(
    ({ status }) => status === 200,
    () => false,
  );
}

async function attachTenant(options: NeonPageServerOptions): Promise<void> {
  const { tenantId, generation, httpPort, signal } = options;
  const place = { host: '127.0.0.1', httpPort };
  await callPageServer(place, {
    method: 'PUT',
    path: `/v1/tenant/${tenantId}/location_config`,
    body: { mode: 'AttachedSingle', generation, tenant_conf: {} },
    signal,
  });
  const startedAt = performance.now();
  for (;;) {
    const answer = await callPageServer(place, { method: 'GET', path: `/v1/tenant/${tenantId}`, signal });
    const { state } = answer as { readonly state?: { readonly slug?: string; readonly data?: unknown } };
    if (state?.slug === 'Active') return;
    if (state?.slug === 'Broken')
      throw startFailure(options, `cannot load tenant ${tenantId}: ${JSON.stringify(state.data)}`);
    if (performance.now() - startedAt > ACTIVATION_TIMEOUT_MS)
      throw startFailure(options, `is still loading tenant ${tenantId} (${String(state?.slug)})`);
    await delay(POLL_INTERVAL_MS);
  }
}

function startFailure({ program, directory }: NeonPageServerOptions, what: string): RunnerError {
  return new RunnerError({
    code: 'RUNNER_START_FAILED',
    operation: 'start page server',
    message: `Neon's page server ${program} in ${directory} ${what}; its log says more: neon logs`,
    context: { program, directory },
  });
}
