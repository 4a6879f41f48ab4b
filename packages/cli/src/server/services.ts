import path from 'node:path';
import {
  type JwtVerifier,
  loadJwtVerifier,
  type PageServer,
  startHttpServer,
  startPageService,
} from '@neon-snapshot/pageserver';
import { usageError } from '../cli-error.ts';
import type { Session } from '../session.ts';

/** The page service and the HTTP API of a page server. Dispose to close all. */
export interface ListeningServices extends AsyncDisposable {
  /** Of the HTTP API that this machine uses: loopback. */
  readonly host: string;
  readonly pgPort: number;
  readonly httpPort: number;
}

const LOOPBACK = '127.0.0.1';

interface Ports {
  readonly pgPort: number;
  readonly httpPort: number;
}

/**
 * Listens on 127.0.0.1, 0 being a free port. With `--listen` the page service and the HTTP API are on that address and ask for
 * tokens; the commands of this machine then have an HTTP API of their own on 127.0.0.1.
 */
export async function listen(
  session: Session,
  pageServer: PageServer,
  ports: Ports,
): Promise<ListeningServices> {
  const { host, auth } = await publicAddress(session, ports);
  const onError = failureLog(session);
  const opened: AsyncDisposable[] = [];
  const close = async () => {
    for (const service of opened.reverse()) await service[Symbol.asyncDispose]();
  };
  try {
    const own = { pageServer, host: LOOPBACK, port: auth === undefined ? ports.httpPort : 0, onError };
    const http = await startHttpServer(own);
    opened.push(http);
    if (auth !== undefined)
      opened.push(await startHttpServer({ pageServer, host, port: ports.httpPort, auth, onError }));
    const pages = await startPageService({ pageServer, host, port: ports.pgPort, auth, onError });
    opened.push(pages);
    return { host: LOOPBACK, pgPort: pages.port, httpPort: http.port, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface PublicAddress {
  readonly host: string;
  /** Undefined on loopback. */
  readonly auth: JwtVerifier | undefined;
}

async function publicAddress({ args, currentDirectory }: Session, ports: Ports): Promise<PublicAddress> {
  const host = args.string('listen');
  const key = args.string('auth_public_key');
  if (host === undefined) {
    if (key !== undefined) throw usageError('--auth_public_key is for --listen; add that or leave it out');
    return { host: LOOPBACK, auth: undefined };
  }
  if (key === undefined)
    throw usageError(
      `--listen=${host} needs --auth_public_key=FILE: without tokens everyone who reaches it could read all pages`,
    );
  if (ports.pgPort === 0 || ports.httpPort === 0)
    throw usageError(`--listen=${host} needs --pg_port and --http_port, so that others know where to go`);
  return { host, auth: await loadJwtVerifier(path.resolve(currentDirectory, key)) };
}

function failureLog(session: Session): (error: unknown, request?: object) => void {
  return (error, request = { service: 'pages' }) =>
    session.output.event({
      time: new Date().toISOString(),
      kind: 'request-failed',
      ...request,
      message: error instanceof Error ? error.message : String(error),
    });
}
