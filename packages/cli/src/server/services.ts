import { type PageServer, startHttpServer, startPageService } from '@neon-snapshot/pageserver';
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
  const failed = (error: unknown, facts: Readonly<Record<string, unknown>>) =>
    session.output.event({
      time: new Date().toISOString(),
      kind: 'request-failed',
      ...facts,
      message: error instanceof Error ? error.message : String(error),
    });
  const http = await startHttpServer({
    pageServer,
    host: LOOPBACK,
    port: ports.httpPort,
    onError: (error, request) => failed(error, request),
  });
  try {
    const pages = await startPageService({
      pageServer,
      host: LOOPBACK,
      port: ports.pgPort,
      onError: (error) => failed(error, { service: 'pages' }),
    });
    return {
      host: LOOPBACK,
      pgPort: pages.port,
      httpPort: http.port,
      [Symbol.asyncDispose]: async () => {
        await pages[Symbol.asyncDispose]();
        await http[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await http[Symbol.asyncDispose]();
    throw error;
  }
}
