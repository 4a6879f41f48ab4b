import { BLCKSZ, DEFAULT_TABLESPACE_OID } from '@neon-snapshot/postgres';
import { connectPq } from '@neon-snapshot/pq-proto';

export interface RelationPages {
  readonly dbNode: number;
  readonly relNode: number;
  readonly blocks: number;
}

const GET_PAGE = 2;
const PAGE_ANSWER = 102;
const LATEST = 0xffff_ffff_ffff_ffffn;
const SINGLE_REQUESTS = 3000;
const PIPELINED_REQUESTS = 40_000;
const IN_FLIGHT = 64;

/** GetPage of random blocks over the wire: one after the other, and with many in flight. */
export async function pageLatencies(of: {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly pagesPort: number;
  readonly tag: RelationPages;
}): Promise<string> {
  const { tenantId, timelineId, pagesPort, tag } = of;
  await using connection = await connectPq({
    host: '127.0.0.1',
    port: pagesPort,
    user: 'bench',
    database: 'bench',
  });
  const stream = await connection.copyBoth(`pagestream_v2 ${tenantId} ${timelineId}`);
  const ask = () => stream.write(encodeGetPage(tag, Math.floor(Math.random() * tag.blocks)));
  const answer = async () => {
    const bytes = await stream.read();
    if (bytes?.[0] !== PAGE_ANSWER || bytes.length !== BLCKSZ + 1)
      throw new Error('the page server sent no page');
  };
  const latencies: number[] = [];
  for (let i = 0; i < SINGLE_REQUESTS; i++) {
    const started = performance.now();
    ask();
    await answer();
    latencies.push(performance.now() - started);
  }
  const started = performance.now();
  for (let sent = 0, received = 0; received < PIPELINED_REQUESTS; received++) {
    while (sent < PIPELINED_REQUESTS && sent - received < IN_FLIGHT) {
      ask();
      sent++;
    }
    await answer();
  }
  const perSecond = (PIPELINED_REQUESTS / (performance.now() - started)) * 1000;
  stream.end();
  latencies.sort((a, b) => a - b);
  const at = (share: number) => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(2);
  return [
    `### GetPage over the wire, random blocks of ${tag.blocks}`,
    '',
    `- one at a time: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms; ${IN_FLIGHT} in flight: ${perSecond.toFixed(0)} pages/s`,
  ].join('\n');
}

function encodeGetPage({ dbNode, relNode }: RelationPages, blockNumber: number): Buffer {
  const request = Buffer.alloc(34);
  request.writeUInt8(GET_PAGE, 0);
  request.writeBigUInt64BE(LATEST, 1);
  request.writeBigUInt64BE(1n, 9);
  request.writeUInt32BE(DEFAULT_TABLESPACE_OID, 17);
  request.writeUInt32BE(dbNode, 21);
  request.writeUInt32BE(relNode, 25);
  request.writeUInt8(0, 29);
  request.writeUInt32BE(blockNumber, 30);
  return request;
}
