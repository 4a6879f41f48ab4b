import { lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../testing/random.ts';
import { TailBuffer } from './tail-buffer.ts';

const START = 1000n;

describe('a buffer of raw WAL', () => {
  it('holds what came from its start to its end, however it is cut', () => {
    const random = seededRandom(3);
    const all = Uint8Array.from({ length: 20_000 }, () => random(256));
    const buffer = new TailBuffer(lsn(START));
    let [start, end] = [0, 0];
    while (end < all.length) {
      const size = Math.min(1 + random(300), all.length - end);
      buffer.append(all.slice(end, end + size));
      end += size;
      if (random(4) === 0) {
        start += random(end - start + 1);
        buffer.discard(lsn(START + BigInt(start)));
      }
      if (random(6) === 0) {
        end -= random(end - start + 1);
        buffer.truncate(lsn(START + BigInt(end)));
      }
      expect([buffer.start, buffer.end]).toEqual([START + BigInt(start), START + BigInt(end)]);
      expect(buffer.sizeBytes).toBe(end - start);
      const from = start + random(end - start + 1);
      const cut = from + random(end - from + 1);
      const part = buffer.read(lsn(START + BigInt(from)), lsn(START + BigInt(cut)));
      expect(Buffer.compare(part.bytes, all.subarray(from, cut))).toBe(0);
    }
  });

  it('goes on from where it is told when all of it is forgotten', () => {
    const buffer = new TailBuffer(lsn(START));
    buffer.append(new Uint8Array(10));
    buffer.discard(lsn(START + 100n));
    expect([buffer.start, buffer.end, buffer.sizeBytes]).toEqual([START + 100n, START + 100n, 0]);
    buffer.append(Uint8Array.of(7));
    expect(buffer.read(buffer.start, buffer.end).bytes).toEqual(Uint8Array.of(7));
  });
});
