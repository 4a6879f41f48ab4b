// A program that starts, fails or hangs as a page server may: `program-page-server.ts DIRECTORY MODE`.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { processIdentity, repositoryPaths } from '@neon-snapshot/repository';
import { reportToStarter } from '../child-report.ts';
import { writePageServerState } from '../page-server-state.ts';

const [directory = '.', mode] = process.argv.slice(2);
writeFileSync(path.join(directory, 'pid'), String(process.pid));

if (mode === 'die') {
  console.error('last words');
  process.exit(9);
}
if (mode === 'refuse')
  reportToStarter({
    kind: 'failed',
    code: 'REPOSITORY_LEASE_HELD',
    operation: 'acquire lease',
    message: 'held by another',
    context: { generation: 7 },
  });
if (mode === 'hang') setInterval(() => undefined, 1000);
if (mode === 'good' || mode === 'stubborn') {
  reportToStarter({ kind: 'note', message: 'waiting a little' });
  const server = createServer((_request, response) => response.end('{}'));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  await writePageServerState(repositoryPaths(directory), {
    pid: process.pid,
    processIdentity: await processIdentity(),
    engine: 'embedded',
    host: '127.0.0.1',
    pgPort: 1,
    httpPort: (server.address() as AddressInfo).port,
    startedAt: new Date().toISOString(),
    tenantId: 'a'.repeat(32),
    storageDest: 'file:///nowhere',
    generation: 1,
    durability: 'local',
    pushIntervalMs: 1000,
  });
  process.on('SIGTERM', () => {
    if (mode === 'good') process.exit(0);
  });
  reportToStarter({ kind: 'ready' });
}
