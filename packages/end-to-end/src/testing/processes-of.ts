import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const POLL_INTERVAL_MS = 20;

/** Processes whose command line names the directory, and all their descendants: page server, Postgres, `neon` itself. */
export async function processesOf(directory: string): Promise<number[]> {
  const { stdout } = await run('ps', ['-eo', 'pid=,ppid=,stat=,args=', '-ww'], { maxBuffer: 64 * 2 ** 20 });
  const all = stdout.split('\n').flatMap((line) => {
    const [, pid, parent, state, args = ''] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    // A zombie is gone; only its parent has not looked yet.
    if (pid === undefined || state?.startsWith('Z') === true) return [];
    return [{ pid: Number(pid), parent: Number(parent), args }];
  });
  const found = new Set<number>();
  const isNamed = (args: string) => args.includes(`${directory}/`) || args.split(' ').includes(directory);
  for (const { pid, args } of all) if (isNamed(args) && pid !== process.pid) found.add(pid);
  for (let size = 0; size < found.size; ) {
    size = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

/** SIGKILL to all of them in random order, until none is left: a machine that loses its power. */
export async function killProcessesOf(directory: string): Promise<void> {
  for (;;) {
    const pids = await processesOf(directory);
    if (pids.length === 0) return;
    for (const pid of pids.toSorted(() => Math.random() - 0.5)) kill(pid);
    await sleep(POLL_INTERVAL_MS);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
