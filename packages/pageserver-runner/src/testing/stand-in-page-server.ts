import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { processIdentity, type RepositoryPaths } from '@neon-snapshot/repository';
import { writePageServerState } from '../page-server-state.ts';

/** Answers the calls that the runner makes, as a page server of this process would. */
export interface StandInPageServer extends AsyncDisposable {
  readonly calls: readonly string[];
  readonly bodies: readonly unknown[];
  /** Somebody took its storage over, and it is about to end. */
  isFenced: boolean;
  lastRecordLsn: string;
  lastRecord: { readonly start: string; readonly end: string; readonly crc: number } | undefined;
}

export const TENANT_ID = 'a'.repeat(32);
export const TIMELINE_ID = 'b'.repeat(32);

export async function startStandIn(paths: RepositoryPaths): Promise<StandInPageServer> {
  const calls: string[] = [];
  const bodies: unknown[] = [];
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const standIn: StandInPageServer = {
    calls,
    bodies,
    isFenced: false,
    lastRecordLsn: '0/0',
    lastRecord: undefined,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    calls.push(`${request.method} ${request.url}`);
    if (chunks.length > 0) bodies.push(JSON.parse(Buffer.concat(chunks).toString()));
    const { url = '' } = request;
    if (url === '/healthz' && standIn.isFenced) {
      response.writeHead(503).end('{"msg":"fenced"}');
      return;
    }
    if (url.endsWith('/last_record') && standIn.lastRecord === undefined) {
      response.writeHead(404).end('{"msg":"none"}');
      return;
    }
    const body = url.endsWith('/last_record')
      ? standIn.lastRecord
      : { last_record_lsn: standIn.lastRecordLsn };
    response.writeHead(200).end(JSON.stringify(body));
  };
  const { port } = server.address() as AddressInfo;
  await writePageServerState(paths, {
    pid: process.pid,
    processIdentity: await processIdentity(),
    engine: 'embedded',
    host: '127.0.0.1',
    pgPort: 1,
    httpPort: port,
    startedAt: new Date(0).toISOString(),
    tenantId: TENANT_ID,
    storageDest: 'file:///nowhere',
    generation: 1,
    durability: 'local',
    pushIntervalMs: 1000,
  });
  return standIn;
}
