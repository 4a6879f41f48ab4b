import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import {
  isLocalKey,
  isRelationBlockKey,
  KEY_MIN,
  keyFromHex,
  keyToHex,
  openTimelineView,
  parseTenantShardId,
  type RedoRequest,
  SPARSE_KEYS_START,
  shardOfKey,
  type TimelineReader,
} from '@neon-snapshot/neon-layer';
import { createValueRedo } from '@neon-snapshot/neon-timeline';
import { BLCKSZ, parseLsn } from '@neon-snapshot/postgres';
import { describe, expect, test } from 'vitest';
import {
  HAS_SAMPLES,
  SAMPLES_NOTE,
  sampleFacts,
  sampleListing,
  sampleStorage,
} from './testing/neon-samples.ts';

/*
 * Every value that a real page server gave at a listed LSN, made by our redo where it comes from WAL.
 */

const POINTS = [
  ['pg14', 'main', 'base'],
  ['pg15', 'main', 'base'],
  ['pg15', 'bootstrap', ''],
  ['pg16', 'main', 'base'],
  ['pg16', 'main', 'p1'],
  ['pg16', 'main', 'p2'],
  ['pg16', 'main', 'p3'],
  ['pg16', 'branch', 'p2'],
  ['pg17', 'main', 'base'],
  ['pg17', 'main', 'p1'],
  ['pg17', 'main', 'p2'],
  ['pg17', 'main', 'p3'],
  ['pg17', 'branch', 'p2'],
  ['pg17', 'bootstrap', ''],
] as const;

const DENSE = { start: KEY_MIN, end: SPARSE_KEYS_START };
const WALREDO = fileURLToPath(new URL('../../wal-redo/src/testing/walredo-entry.ts', import.meta.url));

function lineOf(key: Uint8Array, value: Uint8Array): string {
  return `${keyToHex(key)} ${value.length} ${digestOf(value)}`;
}

const digestOf = (value: Uint8Array) => createHash('sha256').update(value).digest('hex').slice(0, 32);

async function scan(view: TimelineReader): Promise<Map<string, string>> {
  const lines = new Map<string, string>();
  for await (const entries of view.scan(DENSE))
    for (const { key, value } of entries) lines.set(keyToHex(key), lineOf(key, value));
  return lines;
}

interface Opened {
  readonly view: TimelineReader;
  /** What redo was asked for. */
  readonly requests: RedoRequest[];
}

async function openAt(name: string, timeline: string, phase: string): Promise<Opened> {
  const { tenant, timelines, phases, major } = sampleFacts(name);
  const lsn = phases.find((each) => each.name === phase)?.lsn;
  const requests: RedoRequest[] = [];
  const redo = createValueRedo(major);
  const view = await openTimelineView(await sampleStorage(name), {
    tenant,
    timelineId: timelines[timeline] ?? '',
    lsn: lsn === undefined ? undefined : parseLsn(lsn),
    redo: (request, options) => {
      requests.push(request);
      return redo(request, options);
    },
  });
  return { view, requests };
}

describe.runIf(HAS_SAMPLES)(`values of a real page server${SAMPLES_NOTE}`, () => {
  test.each(POINTS)('%s %s %s: each listed one is made', async (name, timeline, phase) => {
    const { view, requests } = await openAt(name, timeline, phase);
    const found = await scan(view);
    const listed = sampleListing(name, `values-${timeline}${phase === '' ? '' : `-${phase}`}`);
    expect(listed.length).toBeGreaterThan(2000);
    expect(listed.filter(([key = '', ...rest]) => found.get(key) !== [key, ...rest].join(' '))).toEqual([]);
    expect(requests.length > 100).toBe(phase.startsWith('p'));
  });

  test.each(['0002', '0102'])('shard %s: each listed one of its own is made', async (shard) => {
    const tenant = parseTenantShardId(`16606060606060606060606060606060-${shard}`);
    const sharding = { ...tenant.shard, stripeSize: 16 };
    const timelineId = '16707070707070707070707070707070';
    const redo = createValueRedo(16);
    const found = await scan(
      await openTimelineView(await sampleStorage('pg16'), { tenant, timelineId, redo }),
    );
    // Those of the other shard were answered from layers that are no longer kept up.
    const own = sampleListing('pg16', `values-shard-${shard}`).filter(([key = '']) => {
      const bytes = keyFromHex(key);
      const isPage = isRelationBlockKey(bytes) && shardOfKey(bytes, sharding) === sharding.number;
      return (isPage || sharding.number === 0) && isLocalKey(bytes, sharding);
    });
    expect(own.length).toBeGreaterThan(1000);
    expect(own.filter(([key = '', ...rest]) => found.get(key) !== [key, ...rest].join(' '))).toEqual([]);
  });

  test.each([
    ['pg16', 'main', 'p3'],
    ['pg16', 'branch', 'p2'],
    ['pg17', 'main', 'p3'],
    ['pg17', 'branch', 'p2'],
  ] as const)('%s %s %s: neon-walredo gives the same pages over its pipe', async (name, timeline, phase) => {
    const { view, requests } = await openAt(name, timeline, phase);
    const found = await scan(view);
    const pages = requests.filter(
      ({ parsedKey, records }) =>
        parsedKey.kind === 'relation-block' && records.every(({ record }) => record.kind === 'postgres'),
    );
    expect(pages.length).toBeGreaterThan(350);
    const made = await overPipe(sampleFacts(name).major, pages);
    const different = pages.filter(
      ({ key }, index) =>
        lineOf(key, made.subarray(index * BLCKSZ, (index + 1) * BLCKSZ)) !== found.get(keyToHex(key)),
    );
    expect([made.length, different.map(({ key }) => keyToHex(key))]).toEqual([pages.length * BLCKSZ, []]);
  });
});

/** All pages by one process, as a page server asks for them: begin, page, records, get. */
async function overPipe(major: number, pages: readonly RedoRequest[]): Promise<Buffer> {
  const argv = ['--conditions=@neon-snapshot/source', WALREDO, `--major=${major}`, '--wal-redo'];
  const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const replies: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => replies.push(chunk));
  const exited = once(child, 'close');
  for (const page of pages) if (!child.stdin.write(requestOf(page))) await once(child.stdin, 'drain');
  child.stdin.end();
  await exited;
  return Buffer.concat(replies);
}

function requestOf({ parsedKey, base, records }: RedoRequest): Buffer {
  if (parsedKey.kind !== 'relation-block') throw new Error('only relation pages go through the pipe');
  const { spcNode, dbNode, relNode, forkNum } = parsedKey.tag;
  const tag = Buffer.alloc(17);
  tag.writeUInt8(forkNum);
  for (const [i, field] of [spcNode, dbNode, relNode, parsedKey.blockNumber].entries())
    tag.writeUInt32BE(field, 1 + 4 * i);
  const applied = records.map(({ lsn, record }) => {
    const end = Buffer.alloc(8);
    end.writeBigUInt64BE(lsn);
    return message('A', end, record.kind === 'postgres' ? record.record : new Uint8Array());
  });
  const pushed = base === undefined ? [] : [message('P', tag, base)];
  return Buffer.concat([message('B', tag), ...pushed, ...applied, message('G', tag)]);
}

function message(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}
