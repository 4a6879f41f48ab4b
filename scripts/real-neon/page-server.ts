/** A running page server: its process, from start to stop, and its HTTP API. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlPlane } from './control-plane.ts';
import { type Workdir, writeSettings } from './workdir.ts';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 20_000;
const LOG_TAIL_LINES = 15;
const LOGGED_ERROR_LENGTH_MAX = 1000;

export type PageServerOptions = {
  readonly program: string;
  readonly workdir: Workdir;
  readonly controlPlane: ControlPlane;
};

export class PageServer {
  readonly pgPort: number;
  readonly logPath: string;
  readonly #httpPort: number;
  readonly #process: ChildProcess;
  /** No page server outlives the driver, whatever ends it. */
  readonly #kill = () => {
    this.#process.kill('SIGKILL');
  };

  private constructor(process: ChildProcess, ports: readonly [number, number], logPath: string) {
    this.#process = process;
    [this.#httpPort, this.pgPort] = ports;
    this.logPath = logPath;
  }

  /** Starts the program and returns when it answers `status`. */
  static async open({ program, workdir, controlPlane }: PageServerOptions): Promise<PageServer> {
    const [httpPort, pgPort] = await Promise.all([freePort(), freePort()]);
    await writeSettings(workdir, { controlPlaneUrl: controlPlane.url, httpPort, pgPort });
    const logPath = join(workdir.path, 'pageserver.log');
    const log = openSync(logPath, 'w');
    const child = spawn(resolve(program), ['-D', workdir.data], {
      ...workdir.user,
      cwd: workdir.data,
      env: { PATH: process.env.PATH, RUST_BACKTRACE: '1' },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const server = new PageServer(child, [httpPort, pgPort], logPath);
    process.once('exit', server.#kill);
    await server.#waitUntilReady(program);
    return server;
  }

  /** Calls the HTTP API and returns its JSON answer; a status of 400 or more is an error with the server's message. */
  async call(method: 'GET' | 'PUT' | 'POST', path: string, body?: object): Promise<unknown> {
    const { status, text } = await this.#send(method, path, body);
    if (status >= 400) {
      const cause = status >= 500 ? this.#lastLoggedError() : undefined;
      throw new Error(`page server: ${method} ${path}: ${status} ${text}`, { cause });
    }
    return text === '' ? null : JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.removeListener('exit', this.#kill);
    if (!this.#isRunning()) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    const gone = await Promise.race([exited.then(() => true), sleep(STOP_TIMEOUT_MS, false, { ref: false })]);
    if (!gone) this.#kill();
    await exited;
  }

  async #waitUntilReady(program: string): Promise<void> {
    let spawnError: Error | undefined;
    this.#process.once('error', (error) => {
      spawnError = error;
    });
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (Date.now() < deadline) {
      await sleep(50);
      if (spawnError !== undefined || !this.#isRunning()) break;
      if (
        await this.#send('GET', '/v1/status').then(
          ({ status }) => status === 200,
          () => false,
        )
      )
        return;
    }
    this.#kill();
    const tail = readFileSync(this.logPath, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
    throw new Error(`${program} did not start; the end of its log:\n${tail}`, { cause: spawnError });
  }

  /** A handler that panics answers nothing of use; the log has the reason. */
  #lastLoggedError(): string | undefined {
    const lines = readFileSync(this.logPath, 'utf8').split('\n');
    return lines.findLast((line) => line.includes(' ERROR '))?.slice(0, LOGGED_ERROR_LENGTH_MAX);
  }

  #isRunning(): boolean {
    return (
      this.#process.pid !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
    );
  }

  /** Not `fetch`, which gives up after five minutes: a compaction answers only when it is done. */
  async #send(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    const sent = request({ host: '127.0.0.1', port: this.#httpPort, method, path });
    sent.setHeader('content-type', 'application/json').end(body === undefined ? '' : JSON.stringify(body));
    const [response] = await once(sent, 'response');
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return { status: response.statusCode, text: Buffer.concat(chunks).toString() };
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
