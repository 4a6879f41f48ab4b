import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** One run of a command, from outside. */
export interface Measurement {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  /** Peak of the summed resident memory of the process and its descendants, sampled. */
  readonly rssPeakBytes: number;
}

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Run as this user, where we are root. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  readonly cwd?: string;
}

/** Reading all of /proc costs 1.5 ms of the CPU that the measured program may want. */
const SAMPLE_INTERVAL_MS = 100;
const PAGE_BYTES = 4096;
const TIME_MARK = 'bench-time:';

/** Runs a command to its end; a non-zero exit is an error that carries what it printed. */
export async function measure(command: Command): Promise<Measurement> {
  // bash's own clock counts the CPU of all descendants that were waited for.
  const script = `TIMEFORMAT='${TIME_MARK} %R %U %S'; time "$@"`;
  const child = spawn('bash', ['-c', script, 'bench', command.command, ...command.args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...command.env },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    ...command.user,
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-20_000);
    });
  }
  let rssPeakBytes = 0;
  const sampler = setInterval(() => {
    rssPeakBytes = Math.max(rssPeakBytes, residentBytesOfTree(child.pid ?? 0));
  }, SAMPLE_INTERVAL_MS);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  clearInterval(sampler);
  const times = new RegExp(`${TIME_MARK} ([\\d.]+) ([\\d.]+) ([\\d.]+)`).exec(printed);
  if (status !== 0 || times === null)
    throw new Error(`${command.command} ${command.args.join(' ')} ended with ${status}:\n${printed}`);
  const [wall, user, system] = times.slice(1).map(Number);
  return { wallSeconds: wall ?? 0, cpuSeconds: (user ?? 0) + (system ?? 0), rssPeakBytes };
}

function residentBytesOfTree(root: number): number {
  const children = new Map<number, number[]>();
  const resident = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const parent = Number(fields[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
      resident.set(Number(name), Number(fields[21]) * PAGE_BYTES);
    } catch {
      // The process ended while we looked.
    }
  }
  let total = 0;
  const queue = [root];
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    total += resident.get(pid) ?? 0;
    queue.push(...(children.get(pid) ?? []));
  }
  return total;
}

/** The least time of each kind, where other work disturbs some rounds, and the greatest memory. */
export function bestOf(measurements: readonly Measurement[]): Measurement {
  return {
    wallSeconds: Math.min(...measurements.map(({ wallSeconds }) => wallSeconds)),
    cpuSeconds: Math.min(...measurements.map(({ cpuSeconds }) => cpuSeconds)),
    rssPeakBytes: Math.max(...measurements.map(({ rssPeakBytes }) => rssPeakBytes)),
  };
}

/** The middle measurement of each figure on its own. */
export function medianOf(measurements: readonly Measurement[]): Measurement {
  const middle = (pick: (measurement: Measurement) => number) => {
    const sorted = measurements.map(pick).sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  };
  return {
    wallSeconds: middle((measurement) => measurement.wallSeconds),
    cpuSeconds: middle((measurement) => measurement.cpuSeconds),
    rssPeakBytes: middle((measurement) => measurement.rssPeakBytes),
  };
}
