// A small S3 server in a process of its own, which survives what is killed around it. Its parent makes it misbehave.
import {
  type S3FaultEffect,
  type S3FaultHandle,
  type S3Quirks,
  startS3TestServer,
} from '@neon-snapshot/s3-test-server';

/** Undefined ends the fault. */
export interface S3Order {
  readonly effect?: S3FaultEffect;
}

const [bucket = '', directory = '', quirks = '{}'] = process.argv.slice(2);
const server = await startS3TestServer({
  buckets: [bucket],
  directory,
  quirks: JSON.parse(quirks) as S3Quirks,
});
let armed: S3FaultHandle | undefined;
process.on('message', ({ effect }: S3Order) => {
  const hits = armed?.hits ?? 0;
  armed?.remove();
  armed = effect && server.inject({ times: Number.POSITIVE_INFINITY, effect });
  process.send?.({ hits });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ endpoint: server.endpoint });
