import { type PageServer, startHttpServer } from '@neon-snapshot/pageserver';
import type { Session } from '../session.ts';

/** The page service and the HTTP API of a page server. Dispose to close both. */
export interface ListeningServices extends AsyncDisposable {
  readonly host: string;
  readonly pgPort: number;
  readonly httpPort: number;
}

const LOOPBACK = '127.0.0.1';

/** Listens on 127.0.0.1; without ports, on free ones. */
export async function listen(
  session: Session,
  pageServer: PageServer,
  ports: { readonly pgPort: number; readonly httpPort: number },
): Promise<ListeningServices> {
  const onError = (error: unknown, request: { readonly method: string; readonly path: string }) =>
    session.output.event({
      time: new Date().toISOString(),
      kind: 'request-failed',
      ...request,
      message: error instanceof Error ? error.message : String(error),
    });
  const http = await startHttpServer({ pageServer, host: LOOPBACK, port: ports.httpPort, onError });
  return {
    host: LOOPBACK,
    pgPort: ports.pgPort,
    httpPort: http.port,
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}
