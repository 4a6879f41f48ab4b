import { spawn } from 'node:child_process';
import { childEnvironment, identity } from './run-command.ts';
import type { ServerUser } from './server-user.ts';

/**
 * Waits for the end of its input, which is our end, however we end; then stops the server ($1), fast and after 30 s at
 * once, and removes its runtime directory ($2).
 */
const SCRIPT = `
read -r line
kill -INT "$1" 2>/dev/null
n=0
while [ "$n" -lt 300 ] && kill -0 "$1" 2>/dev/null; do sleep 0.1; n=$((n + 1)); done
kill -QUIT "$1" 2>/dev/null
rm -rf "$2"
`;

/**
 * Makes a server end with this process, also when this process is killed: a shell of its own session holds the other
 * end of a pipe that only we hold open. Returns the function that calls it off.
 */
export function startWatchdog(options: {
  readonly pid: number;
  readonly runtimeDirectory: string;
  readonly user: ServerUser | undefined;
}): () => void {
  const { pid, runtimeDirectory, user } = options;
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'neon-watchdog', String(pid), runtimeDirectory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: childEnvironment(),
    cwd: '/',
    ...identity(user),
  });
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  shell.unref();
  // The pipe must not keep our event loop alive either; a net.Socket underneath, which the type does not say.
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref();
  return () => void shell.kill('SIGKILL');
}
