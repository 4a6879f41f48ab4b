import { appendFile, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { boundLogFile, followLog, readLastLines } from './log-file.ts';

let directory: string;
let log: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'neon-log-'));
  log = path.join(directory, 'x.log');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('a log is moved away once it passes its size, and a writer that has it open goes on at its start', async () => {
  await using writer = await open(log, 'a');
  for (const piece of ['first', 'second', 'third', 'fourth']) {
    await writer.write(piece.repeat(10));
    expect(await boundLogFile(log, { sizeBytesMax: 40, keptCount: 2 })).toBe(true);
    expect((await stat(log)).size).toBe(0);
  }
  expect(await readFile(`${log}.1`, 'utf8')).toBe('fourth'.repeat(10));
  expect(await readFile(`${log}.2`, 'utf8')).toBe('third'.repeat(10));
  await expect(stat(`${log}.3`)).rejects.toMatchObject({ code: 'ENOENT' });
  await writer.write('small');
  expect(await boundLogFile(log, { sizeBytesMax: 40 })).toBe(false);
  expect(await readFile(log, 'utf8')).toBe('small');
});

it('the last lines come whole and in order; a log that is not there has none', async () => {
  await writeFile(log, 'a\nb\nc\n');
  expect(await readLastLines(log, 2)).toEqual(['b', 'c']);
  expect(await readLastLines(path.join(directory, 'none'), 2)).toEqual([]);
});

it('following gives what is appended, and goes on after the log was cut', async () => {
  await writeFile(log, 'old\n');
  const stop = new AbortController();
  let text = '';
  const following = (async () => {
    for await (const piece of followLog(log, stop.signal)) text += piece;
  })();
  await sleep(50);
  await appendFile(log, 'new\n');
  while (!text.includes('new')) await sleep(10);
  await truncate(log, 0);
  await sleep(250);
  await appendFile(log, 'x\n');
  while (!text.includes('x')) await sleep(10);
  stop.abort();
  await following;
  expect(text).toBe('new\nx\n');
});
