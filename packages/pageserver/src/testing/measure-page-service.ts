// GetPage over loopback, both ends in this process: pages a second and CPU a page, one request after the other and with 64 in flight.
// node --conditions=@neon-snapshot/source packages/pageserver/src/testing/measure-page-service.ts [pg16|pg17]
import { keyFromHex, parseKey } from '@neon-snapshot/neon-layer';
import { type CopyBoth, connectPq } from '@neon-snapshot/pq-proto';
import { startPageService } from '../page-service/start-page-service.ts';
import { makeStateDirectory, openTestServer } from './memory-server.ts';
import { encodeRequest, readAnswer, relBody } from './page-client.ts';
import { listedValues, phaseLsn, sampleFacts, sampleStorage } from './sample-timelines.ts';

const PAGE_TAG = 102;
const ROUNDS = 3;

const sample = process.argv[2] ?? 'pg17';
const { tenant, timelines } = sampleFacts(sample);
await using state = await makeStateDirectory();
await using pageServer = await openTestServer({
  storage: await sampleStorage(sample),
  tenantId: tenant,
  stateDirectory: state.path,
});
await using service = await startPageService({ pageServer, host: '127.0.0.1', port: 0 });
const { port } = service;
await using connection = await connectPq({ host: '127.0.0.1', port, user: 'me', tls: 'disable', env: {} });

for (const phase of ['base', 'p3']) {
  const requests = pageRequests(phase);
  for (const inFlight of [1, 64]) {
    for (let round = 1; round <= ROUNDS; round++) {
      await using stream = await connection.copyBoth(`pagestream_v3 ${tenant} ${timelines.main}`);
      const cpu = process.cpuUsage();
      const startedAt = performance.now();
      await run(stream, requests, inFlight);
      const seconds = (performance.now() - startedAt) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      const cpuMicros = Math.round((user + system) / requests.length);
      const rate = Math.round(requests.length / seconds);
      console.log(
        `${phase}, ${inFlight} in flight, round ${round}: ${rate} pages/s, ${cpuMicros} µs CPU a page`,
      );
    }
  }
}

function pageRequests(phase: string): Buffer[] {
  const lsn = phaseLsn(sample, phase);
  return listedValues({ sample, timeline: 'main', phase }).flatMap(([hex]) => {
    const key = parseKey(keyFromHex(hex));
    if (key.kind !== 'relation-block') return [];
    const body = relBody(key.tag, key.blockNumber);
    return [encodeRequest({ tag: 2, id: 1n, requestLsn: lsn, notModifiedSince: lsn, body })];
  });
}

async function run(stream: CopyBoth, requests: readonly Buffer[], inFlight: number): Promise<void> {
  let sent = 0;
  const sendNext = () => {
    const request = requests[sent++];
    if (request) stream.write(request);
  };
  while (sent < inFlight) sendNext();
  for (let received = 0; received < requests.length; received++) {
    const answer = await readAnswer(stream);
    if (answer[0] !== PAGE_TAG) throw new Error(`an answer has tag ${answer[0]}`);
    sendNext();
  }
}
