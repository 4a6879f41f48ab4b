import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { reconstructPage } from '../reconstruct-page.ts';
import { createRedoEngine } from '../redo-engine.ts';
import { SAMPLE_BLOCK, SAMPLE_TAG, sampleInsert, sampleLock } from '../testing/sample-records.ts';
import { installWrappers } from './install.ts';
import { RedoPipe } from './redo-pipe.ts';

const engine = createRedoEngine({ major: 16, heapLayout: 'neon', hintBitsLogged: false });
const END = lsn(0x14aec80n);

/** The messages of spec and source for 1663/5/2700 block 7. */
const TAG = Buffer.from('00 0000067f 00000005 00000a8c 00000007'.replaceAll(' ', ''), 'hex');
const BEGIN = Buffer.concat([Buffer.from('4200000015', 'hex'), TAG]);
const GET = Buffer.concat([Buffer.from('4700000015', 'hex'), TAG]);
const PING = Buffer.from('4800000004', 'hex');
const push = (page: Uint8Array): Buffer => Buffer.concat([Buffer.from('5000002015', 'hex'), TAG, page]);

function apply(record: Uint8Array, endLsn = END): Buffer {
  const header = Buffer.alloc(13);
  header.write('A');
  header.writeUInt32BE(12 + record.length, 1);
  header.writeBigUInt64BE(endLsn, 5);
  return Buffer.concat([header, record]);
}

const inserted = reconstructPage(engine, {
  tag: SAMPLE_TAG,
  blockNumber: SAMPLE_BLOCK,
  records: [{ endLsn: END, bytes: sampleInsert() }],
});
const locked = reconstructPage(engine, {
  tag: SAMPLE_TAG,
  blockNumber: SAMPLE_BLOCK,
  base: inserted,
  records: [{ endLsn: lsn(END + 64n), bytes: sampleLock() }],
});
const REQUESTS = Buffer.concat([
  PING,
  BEGIN,
  apply(sampleInsert()),
  GET,
  BEGIN,
  push(inserted),
  apply(sampleLock(), lsn(END + 64n)),
  GET,
]);
const REPLIES = Buffer.concat([new Uint8Array(8192), inserted, locked]);

function answers(chunks: readonly Uint8Array[]): Buffer {
  const replies: Buffer[] = [];
  const pipe = new RedoPipe(engine, (page) => replies.push(Buffer.from(page)));
  for (const chunk of chunks) pipe.push(chunk);
  return Buffer.concat(replies);
}

describe('the redo pipe', () => {
  it('answers pipelined requests in order', () => {
    expect(answers([REQUESTS]).equals(REPLIES)).toBe(true);
  });

  it('does not care where chunks end', () => {
    for (const size of [1, 7, 4096]) {
      const chunks = Array.from({ length: Math.ceil(REQUESTS.length / size) }, (_, index) =>
        REQUESTS.subarray(index * size, (index + 1) * size),
      );
      expect(answers(chunks).equals(REPLIES)).toBe(true);
    }
  });

  it.each([
    ['another type', Buffer.from('5800000004', 'hex'), 'REDO_PROTOCOL'],
    ['an impossible length', Buffer.from('4800000003', 'hex'), 'REDO_PROTOCOL'],
    ['a huge length', Buffer.from('41ffffffff', 'hex'), 'REDO_PROTOCOL'],
    ['a page that was not begun', GET, 'REDO_PROTOCOL'],
    ['a record without a page', apply(sampleInsert()), 'REDO_PROTOCOL'],
    ['a record that needs a base', Buffer.concat([BEGIN, apply(sampleLock())]), 'REDO_NO_BASE'],
  ])('refuses %s', (_, request, code) => {
    expect(() => answers([request])).toThrow(expect.objectContaining({ code }));
  });
});

describe('neon-walredo', () => {
  const entry = new URL('../testing/walredo-entry.ts', import.meta.url).pathname;
  const run = (args: readonly string[], input: Uint8Array = new Uint8Array()) =>
    spawnSync(process.execPath, [...process.execArgv, entry, ...args], { input });

  it('speaks the protocol on stdin and stdout, with the arguments of a page server', () => {
    const result = run(['--major=16', '--wal-redo', '--tenant-shard-id', 'abc'], REQUESTS);
    expect(result.stderr.toString()).toBe('');
    expect(result.stdout.equals(REPLIES)).toBe(true);
    expect(result.status).toBe(0);
  });

  it('ends with the reason on stderr when it can not redo a record', () => {
    const result = run(['--major=16'], Buffer.concat([BEGIN, apply(sampleLock()), GET]));
    expect(result.stdout).toHaveLength(0);
    expect(result.stderr.toString()).toMatch(/1663\/5\/2700 fork 0 block 7.*not there/);
    expect(result.status).toBe(1);
  });

  it.each([[['--major=18']], [['--major=16', '--heap-layout=guess']], [['--what']], [['install']]])(
    'explains its usage for %s',
    (args) => {
      const result = run(args);
      expect(result.stderr.toString()).toContain('usage: neon-walredo');
      expect(result.status).toBe(2);
    },
  );

  it('installs wrappers that need no environment', () => {
    const directory = mkdtempSync(join(tmpdir(), "neon-walredo-it's-"));
    try {
      const paths = installWrappers(directory, entry);
      expect(paths).toEqual(
        ['14', '15', '16', '17'].map((major) => join(directory, `v${major}/bin/postgres`)),
      );
      const help = spawnSync('/bin/sh', [paths[2] ?? '', '--help'], { env: {} });
      expect(readFileSync(paths[2] ?? '', 'utf8')).toContain(`exec '${process.execPath}'`);
      // The sources need a flag to run; that they are reached is what counts here.
      expect(help.stderr.toString() + help.stdout.toString()).toMatch(/neon-walredo|ERR_MODULE_NOT_FOUND/);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
