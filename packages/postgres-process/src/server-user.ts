import { readFileSync } from 'node:fs';
import { PostgresProcessError } from './postgres-process-error.ts';

/** An account of this machine that a child process can run as. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Accounts to drop to, in order. Postgres looks its user up by name, so a bare number is not enough. */
const UNPRIVILEGED_NAMES = ['postgres', 'nobody'] as const;

/**
 * The account that Postgres children run as: undefined when this process is not root (they run as ourselves), else
 * `postgres` or `nobody`, since Postgres refuses to run as root.
 * Throws `POSTGRES_PROCESS_NO_USER` when root finds neither.
 */
export function unprivilegedUser(): ServerUser | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const users = readPasswd();
  for (const name of UNPRIVILEGED_NAMES) {
    const user = users.find((candidate) => candidate.name === name && candidate.uid !== 0);
    if (user !== undefined) return user;
  }
  throw new PostgresProcessError({
    code: 'POSTGRES_PROCESS_NO_USER',
    operation: 'drop privileges',
    message: `Postgres refuses to run as root, and /etc/passwd has none of ${UNPRIVILEGED_NAMES.join(', ')}; create one of them or run as another user`,
  });
}

/**
 * The account that a server on files of `ownerUid` runs as: the owner itself where it is a real, unprivileged account,
 * else {@link unprivilegedUser}. Undefined when this process is not root.
 */
export function serverUserFor(ownerUid: number): ServerUser | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const owner = ownerUid === 0 ? undefined : readPasswd().find((user) => user.uid === ownerUid);
  return owner ?? unprivilegedUser();
}

function readPasswd(): ServerUser[] {
  let text: string;
  try {
    text = readFileSync('/etc/passwd', 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    if (!name || !uid || !gid) return [];
    return [{ name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 }];
  });
}
