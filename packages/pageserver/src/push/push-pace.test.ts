import { describe, expect, test } from 'vitest';
import { PushPace } from './push-pace.ts';

describe('the pace of pushes', () => {
  test.each([0, 10, 150, 330])('keeps WAL that misses a put of %i ms within the interval', (putMs) => {
    const pace = new PushPace(1000);
    pace.onPut(putMs);
    expect(2 * putMs + pace.pauseMs).toBeLessThanOrEqual(1000);
  });

  test('leaves a slow storage a quarter of the interval', () => {
    const pace = new PushPace(1000);
    pace.onPut(5000);
    expect(pace.pauseMs).toBe(250);
  });

  test('forgets a slow put after eight faster ones', () => {
    const pace = new PushPace(1000);
    pace.onPut(400);
    for (let nth = 0; nth < 7; nth += 1) pace.onPut(10);
    expect(pace.pauseMs).toBe(250);
    pace.onPut(10);
    expect(pace.pauseMs).toBe(880);
  });
});
