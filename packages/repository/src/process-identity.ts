import { readFile, readlink } from 'node:fs/promises';
import { hasErrno } from './repository-error.ts';

/**
 * What tells a process from a later one of the same number: field 22 of Linux' `/proc/PID/stat` with the boot's id. Undefined
 * where none runs, and on other systems.
 */
export async function processStart(pid: number): Promise<string | undefined> {
  try {
    const [facts, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    ]);
    const fields = facts.slice(facts.lastIndexOf(')') + 2).split(' ');
    // Ended, and only kept until its parent asks how.
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return `${boot.trim()}:${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** Where process numbers mean the same: one boot of one kernel, one PID namespace. */
async function processSpace(): Promise<string | undefined> {
  try {
    const [boot, namespace] = await Promise.all([
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
      readlink('/proc/self/ns/pid'),
    ]);
    return `${boot.trim()} ${namespace}`;
  } catch {
    return undefined;
  }
}

/** A text that {@link isProcessGone} understands anywhere; empty where the system has no such facts (other than Linux). */
export async function processIdentity(pid: number = process.pid): Promise<string> {
  const [space, start] = await Promise.all([processSpace(), processStart(pid)]);
  return space === undefined || start === undefined ? '' : `${space} ${pid} ${start}`;
}

/**
 * True only where it is certain: the identity is of this machine's present boot and PID namespace, and no such process runs.
 * Of other machines and containers nothing can be said.
 */
export async function isProcessGone(identity: string): Promise<boolean> {
  const space = await processSpace();
  if (space === undefined || !identity.startsWith(`${space} `)) return false;
  const pid = Number(identity.slice(space.length + 1).split(' ')[0]);
  return Number.isSafeInteger(pid) && pid > 0 && (await processIdentity(pid)) !== identity;
}

/**
 * Whether the process runs from which an identity was taken on this machine. Where the system has none (the text is empty), any
 * process of that number counts.
 */
export async function isProcessRunning(process_: {
  readonly pid: number;
  readonly identity: string;
}): Promise<boolean> {
  if (!isNumberTaken(process_.pid)) return false;
  return process_.identity === '' || (await processIdentity(process_.pid)) === process_.identity;
}

/** True also for a process that only waits for its end to be noticed. */
export function isNumberTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasErrno(error, 'EPERM');
  }
}
