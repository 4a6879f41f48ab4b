import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

test('works follow each other in the order of asking, also behind one that failed', async () => {
  const turns = new Turns();
  const log: string[] = [];
  const work = (name: string) => async () => {
    log.push(`${name} begins`);
    await setImmediate();
    log.push(`${name} ends`);
    if (name === 'b') throw new Error('b');
    return name;
  };
  const results = await Promise.allSettled(['a', 'b', 'c'].map((name) => turns.take(work(name), undefined)));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});

test('who gives up waiting does so at once, and the next one waits for the first', async () => {
  const turns = new Turns();
  const first = Promise.withResolvers<void>();
  const running = turns.take(() => first.promise, undefined);
  const abort = new AbortController();
  const second = turns.take(async () => 'second', abort.signal);
  const third = turns.take(async () => 'third', undefined);
  abort.abort(new Error('enough'));
  await expect(second).rejects.toThrow('enough');
  expect(await Promise.race([third, setImmediate('waiting')])).toBe('waiting');
  first.resolve();
  await running;
  expect(await third).toBe('third');
  const aborted = AbortSignal.abort(new Error('before'));
  await expect(turns.take(async () => 1, aborted)).rejects.toThrow('before');
});
