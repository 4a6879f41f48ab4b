import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { type Command, type Measurement, measure, medianOf } from './measure.ts';
import type { BenchOptions } from './run.ts';

const OBJECT_BYTES = 512 * 2 ** 20;
const CHUNK_BYTES = 2 ** 20;
const DIRECTIONS = ['upload', 'download'] as const;
const TOOLS = ['storage-s3', 'sdk', 'rclone'] as const;
const NAMES = { 'storage-s3': 'storage-s3', sdk: "the SDK's Upload, GetObject", rclone: 'rclone' } as const;
const CREDENTIALS = { accessKeyId: 'TESTKEY', secretAccessKey: 'TESTSECRET' };
const SERVERS = path.resolve(import.meta.dirname, '../scripts/servers/go-server.sh');

type Tool = (typeof TOOLS)[number];
type Direction = (typeof DIRECTIONS)[number];

/** One large object to MinIO and back: by storage-s3, by the SDK's own helper, and by rclone; parts of 8 MiB, 4 at once. */
export async function runS3Objects(options: BenchOptions): Promise<string> {
  const place = path.join(options.directory, 's3-objects');
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  const env = { ...process.env, NEON_TEST_SERVERS_DIR: path.join(place, 'servers') };
  const server = (verb: string) => execFileSync(SERVERS, [verb, 'minio'], { env, encoding: 'utf8' });
  try {
    const endpoint = server('up').trim().split('\n').at(-1) ?? '';
    await makeBucket(endpoint);
    const file = path.join(place, 'object');
    writeRandom(file);
    return await compare(options, { endpoint, file });
  } finally {
    server('down');
    rmSync(place, { recursive: true, force: true });
  }
}

async function compare(
  options: BenchOptions,
  { endpoint, file }: { readonly endpoint: string; readonly file: string },
): Promise<string> {
  const times = new Map<string, Measurement[]>();
  for (let round = 0; round < options.rounds; round++) {
    for (const tool of TOOLS) {
      for (const direction of DIRECTIONS) {
        const at = direction === 'upload' ? file : `${file}-${tool}`;
        const measured = await measure(commandOf(tool, { direction, endpoint, file: at }));
        const name = `${direction} ${tool}`;
        times.set(name, [...(times.get(name) ?? []), measured]);
        if (direction === 'download') assertSame(file, at);
      }
    }
  }
  const rows = DIRECTIONS.flatMap((direction) =>
    TOOLS.map((tool) => rowOf(direction, tool, medianOf(times.get(`${direction} ${tool}`) ?? []))),
  );
  return [
    `### One object of ${(OBJECT_BYTES / 1e6).toFixed(0)} MB, to MinIO and back`,
    '',
    '| what | wall s | MB/s | client CPU s/GB | peak RSS MiB |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...rows,
  ].join('\n');
}

function rowOf(direction: Direction, tool: Tool, median: Measurement): string {
  const { wallSeconds, cpuSeconds, rssPeakBytes } = median;
  const cells = [
    `${direction}: ${NAMES[tool]}`,
    wallSeconds.toFixed(2),
    (OBJECT_BYTES / 1e6 / wallSeconds).toFixed(0),
    (cpuSeconds / (OBJECT_BYTES / 1e9)).toFixed(2),
    (rssPeakBytes / 2 ** 20).toFixed(0),
  ];
  return `| ${cells.join(' | ')} |`;
}

function commandOf(
  tool: Tool,
  run: { readonly direction: Direction; readonly endpoint: string; readonly file: string },
): Command {
  const { direction, endpoint, file } = run;
  if (tool === 'rclone') return rclone(run);
  const script = path.join(import.meta.dirname, 's3-transfer.ts');
  const args = [script, tool, direction, endpoint, `object-${tool}`, file];
  return { command: process.execPath, args: ['--conditions=@neon-snapshot/source', ...args] };
}

function rclone(run: {
  readonly direction: Direction;
  readonly endpoint: string;
  readonly file: string;
}): Command {
  const remote = ':s3:bench/object-rclone';
  const [from, to] = run.direction === 'upload' ? [run.file, remote] : [remote, run.file];
  const settings = {
    provider: 'Minio',
    'access-key-id': CREDENTIALS.accessKeyId,
    'secret-access-key': CREDENTIALS.secretAccessKey,
    endpoint: run.endpoint,
    'chunk-size': '8M',
    'upload-concurrency': '4',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--s3-${name}`, value]);
  // Debian's rclone takes no other CA bundle.
  const env = { AWS_CA_BUNDLE: undefined };
  return { command: 'rclone', args: ['copyto', '--ignore-times', ...flags, from, to], env };
}

async function makeBucket(endpoint: string): Promise<void> {
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: CREDENTIALS,
  });
  await client.send(new CreateBucketCommand({ Bucket: 'bench' }));
  client.destroy();
}

function writeRandom(file: string): void {
  const descriptor = openSync(file, 'w');
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let written = 0; written < OBJECT_BYTES; written += CHUNK_BYTES)
    writeSync(descriptor, randomFillSync(chunk));
  closeSync(descriptor);
}

function assertSame(file: string, copy: string): void {
  execFileSync('cmp', [file, copy]);
  rmSync(copy);
}
