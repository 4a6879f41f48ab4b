import { once } from 'node:events';
import { createServer } from 'node:net';
import { RunnerError } from '../runner-error.ts';

const LOOPBACK = '127.0.0.1';

/** A port of 127.0.0.1 that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, LOOPBACK);
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address === 'object' && address !== null) return address.port;
  throw new RunnerError({
    code: 'RUNNER_PORT_IN_USE',
    operation: 'choose port',
    message: `no free port could be found on ${LOOPBACK}`,
  });
}

export async function isPortFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, LOOPBACK, () => probe.close(() => resolve(true)));
  });
}
