import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ProgressDisplay, type ProgressMode } from './progress.ts';

function display(mode: ProgressMode, columns = 80) {
  let text = '';
  let now = 0;
  const stream = Object.assign(
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        text += chunk.toString();
        done();
      },
    }),
    { columns },
  );
  return {
    progress: new ProgressDisplay({ mode, stream, now: () => now }),
    advance: (milliseconds: number) => {
      now += milliseconds;
    },
    text: () => text,
  };
}

const HALF = { phase: 'copy', bytesDone: 50, bytesTotal: 100, filesDone: 1, filesTotal: 2 } as const;

describe('progress', () => {
  it('is a bar with share, rate and ETA, cleared at the end', () => {
    const { progress, advance, text } = display('bar');
    advance(10_000);
    progress.listen(HALF);
    expect(text()).toContain('[############............]  50 %  50 B  5 B/s  ETA 0:10');
    progress[Symbol.dispose]();
    expect(text().endsWith('\r\u001b[K')).toBe(true);
  });

  it('never writes a line wider than the terminal', () => {
    const { progress, advance, text } = display('bar', 30);
    advance(1000);
    progress.listen(HALF);
    expect(text().replace('\r', '').replace('\u001b[K', '').length).toBeLessThan(30);
  });

  it('is one JSON object a line, at most two a second within a phase', () => {
    const { progress, advance, text } = display('json');
    progress.listen(HALF);
    advance(100);
    progress.listen(HALF);
    advance(400);
    progress.listen({ ...HALF, bytesDone: 60 });
    progress.listen({ ...HALF, phase: 'publish', bytesDone: 100 });
    const events = text()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(events).toEqual([
      { event: 'progress', ...HALF, seconds: 0 },
      { event: 'progress', ...HALF, bytesDone: 60, seconds: 0.5 },
      { event: 'progress', ...HALF, phase: 'publish', bytesDone: 100, seconds: 0.5 },
    ]);
  });

  it('is silent where nobody asked for it', () => {
    const { progress, text } = display('none');
    progress.listen(HALF);
    progress[Symbol.dispose]();
    expect(text()).toBe('');
  });
});
