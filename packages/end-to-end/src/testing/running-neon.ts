import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { neon } from './neon-cli.ts';
import { killProcessesOf } from './processes-of.ts';

/** A repository whose page server and endpoint run, or did. Dispose to stop them. */
export interface RunningNeon extends AsyncDisposable {
  readonly directory: string;
  /** `neon start` with the flags of every start and these. */
  start(flags?: readonly string[]): Promise<Started>;
  status(): Promise<Status>;
  command(words: readonly string[]): Promise<Record<string, unknown>>;
  /** SIGKILL, and waits until they are gone. */
  kill(what: { readonly pageServer?: boolean; readonly postgres?: boolean }): Promise<void>;
  /** SIGKILL for everything that runs. */
  killAll(): Promise<void>;
  /** The same, and everything that this machine has is gone. */
  loseMachine(): Promise<void>;
}

export interface Started {
  readonly connectionString: string;
  readonly reused: boolean;
  readonly seconds: number;
}

export interface Status {
  readonly pageserver: {
    readonly pid: number | null;
    readonly running: boolean;
    readonly httpPort: number;
    readonly pgPort: number;
  };
  readonly timelines: readonly {
    readonly timelineId: string;
    readonly lastRecordLsn: string;
    readonly durableLsn: string;
    readonly lagBytes: number;
    /** What the storage fails with, while it fails. */
    readonly failure: string | null;
  }[];
  readonly endpoints: readonly {
    readonly name: string;
    readonly pid: number | null;
    readonly connectionString: string;
  }[];
  readonly tenantId: string;
  readonly timelineId: string;
}

export function runNeon(options: {
  readonly directory: string;
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}): RunningNeon {
  const { directory, flags, env = {} } = options;
  const command = async (words: readonly string[]) =>
    JSON.parse((await neon([...words, '-D', directory, '--json'], env)).stdout) as Record<string, unknown>;
  const status = async () => (await command(['status'])) as unknown as Status;
  return {
    directory,
    command,
    status,
    async start(more = []) {
      const startedAt = performance.now();
      const result = await command(['start', ...flags, ...more]);
      const [endpoint] = result.endpoints as { connectionString: string; reused: boolean }[];
      const seconds = (performance.now() - startedAt) / 1000;
      return {
        connectionString: endpoint?.connectionString ?? '',
        reused: endpoint?.reused === true,
        seconds,
      };
    },
    async kill({ pageServer = false, postgres = false }) {
      const { pageserver, endpoints } = await status();
      const pids = [
        ...(pageServer ? [pageserver.pid] : []),
        ...(postgres ? endpoints.map((each) => each.pid) : []),
      ].filter((pid) => pid !== null);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      for (;;) {
        const now = await status();
        const isGone =
          (!pageServer || !now.pageserver.running) &&
          (!postgres || now.endpoints.every((each) => each.pid === null));
        if (isGone) return;
        await sleep(50);
      }
    },
    killAll: () => killProcessesOf(directory),
    async loseMachine() {
      await killProcessesOf(directory);
      await rm(path.join(directory, '.neon'), {
        recursive: true,
        force: true,
        maxRetries: 5,
        retryDelay: 200,
      });
    },
    async [Symbol.asyncDispose]() {
      await neon(['stop', '-D', directory, '--mode=immediate', '--timeout=10s'], env).catch(() => undefined);
      await killProcessesOf(directory);
    },
  };
}
