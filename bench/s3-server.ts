// The repository's S3 server in a process of its own, for case-s3.ts: says where it is, and counts the requests when asked.
import { startS3TestServer } from '@neon-snapshot/s3-test-server';

const [directory = ''] = process.argv.slice(2);
const server = await startS3TestServer({ buckets: ['bench'], directory });
process.on('message', () => {
  const counts: Record<string, number> = {};
  for (const { operation = 'other' } of server.log.entries())
    counts[operation] = (counts[operation] ?? 0) + 1;
  server.log.clear();
  process.send?.(counts);
});
process.on('disconnect', () => process.exit(0));
process.send?.(server.endpoint);
