// Messages and bytes a second through a CopyBoth over loopback, with both ends in this process.
// node --conditions=@neon-snapshot/source packages/pq-proto/src/testing/measure-copy-both.ts
import { connectPq } from '../client/connect-pq.ts';
import { listenPq } from '../server/listen-pq.ts';

const PAGE = new Uint8Array(8192).fill(7);
const HEADER = new Uint8Array(42);
const REQUEST = new Uint8Array(50);
const IN_FLIGHT = 64;

await using server = await listenPq({
  listen: { host: '127.0.0.1', port: 0 },
  authentication: { method: 'trust', identify: () => undefined },
  handle: ({ sql }) => ({
    kind: 'copy-both',
    run: async (session) => {
      for (let batch = await session.readBatch(); batch.length > 0; batch = await session.readBatch()) {
        for (const _request of batch) session.write(HEADER, ...(sql === 'pages' ? [PAGE] : []));
        await session.flush();
      }
    },
  }),
});
await using connection = await connectPq({
  host: '127.0.0.1',
  port: server.port,
  user: 'me',
  tls: 'disable',
});
for (const [sql, count] of [
  ['small', 300_000],
  ['pages', 100_000],
] as const) {
  await using stream = await connection.copyBoth(sql);
  const startedAt = performance.now();
  let bytes = 0;
  for (let sent = 0; sent < IN_FLIGHT; sent++) stream.write(REQUEST);
  for (let received = 0; received < count; received++) {
    bytes += (await stream.read())?.length ?? 0;
    if (received + IN_FLIGHT < count) stream.write(REQUEST);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(`${sql}: ${Math.round(count / seconds)} messages/s, ${Math.round(bytes / seconds / 1e6)} MB/s`);
}
