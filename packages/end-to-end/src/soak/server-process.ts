import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OutageKind } from '../testing/s3-process.ts';
import type { Place } from './places.ts';

/** A storage that can be taken away and given back. */
export interface BreakablePlace extends Place {
  breakDown(kind: OutageKind | 'killed'): Promise<void>;
  recover(): Promise<unknown>;
}

/** One of a server's process. */
export interface ServerPlace extends BreakablePlace {
  /** Another one after the server was killed. */
  pid(): number;
}

interface Program {
  readonly command: string;
  readonly words: readonly string[];
  readonly directory: string;
  readonly env: Record<string, string>;
}

const GONE_POLL_MS = 20;

/**
 * The place of a server that runs as process `pid` here: stopped with SIGSTOP where it is to be silent, or killed with SIGKILL and
 * started again with the same words. Needs Linux's /proc. The process that was started again outlives ours.
 */
export async function breakablePlace(place: Place, pid: number): Promise<ServerPlace> {
  const program = await programOf(pid);
  let now = pid;
  let isSilent = false;
  return {
    ...place,
    pid: () => now,
    async breakDown(kind) {
      if (kind === 'silent') {
        isSilent = true;
        process.kill(now, 'SIGSTOP');
        return;
      }
      if (kind !== 'killed')
        throw new Error(`a server that is no part of this repository cannot be made to ${kind}`);
      process.kill(now, 'SIGKILL');
      while (await isAlive(now)) await sleep(GONE_POLL_MS);
    },
    async recover() {
      if (isSilent) {
        isSilent = false;
        process.kill(now, 'SIGCONT');
        return;
      }
      const { command, words, directory, env } = program;
      const child = spawn(command, words, { cwd: directory, env, detached: true, stdio: 'ignore' });
      child.unref();
      if (child.pid === undefined) throw new Error(`${command} could not be started again`);
      now = child.pid;
    },
  };
}

async function programOf(pid: number): Promise<Program> {
  const fields = async (name: string): Promise<string[]> =>
    (await readFile(`/proc/${pid}/${name}`, 'utf8')).split('\0').slice(0, -1);
  const [, ...words] = await fields('cmdline');
  const env = (await fields('environ')).map((entry): [string, string] => {
    const at = entry.indexOf('=');
    return [entry.slice(0, at), entry.slice(at + 1)];
  });
  return {
    command: await readlink(`/proc/${pid}/exe`),
    words,
    directory: await readlink(`/proc/${pid}/cwd`),
    env: Object.fromEntries(env),
  };
}

/** A zombie is gone; only its parent has not looked yet. */
async function isAlive(pid: number): Promise<boolean> {
  if (!existsSync(`/proc/${pid}`)) return false;
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
  return !/\) [ZX]/.test(state);
}
