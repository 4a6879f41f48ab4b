import { compareKeys, keyToHex, relBlockKey, relSizeKey, type Value } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn, ZERO_LSN } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../testing/random.ts';
import { type MemoryChange, MemoryLayer } from './memory-layer.ts';

const TAG = { spcNode: 1663, dbNode: 5, relNode: 16_384, forkNum: 0 } as const;
const BLOCK_COUNT = 300;

function randomKey(random: (countMax: number) => number): Uint8Array {
  const tag = { ...TAG, relNode: 16_384 + random(5), forkNum: ([0, 1, 2] as const)[random(3)] ?? 0 };
  return random(20) === 0 ? relSizeKey(tag) : relBlockKey(tag, random(BLOCK_COUNT));
}

function randomValue(random: (countMax: number) => number): Value {
  const bytes = new Uint8Array(24 + random(200)).fill(random(256));
  if (random(8) === 0) return { kind: 'image', image: bytes };
  if (random(30) === 0) return { kind: 'record', record: { kind: 'clog-set-aborted', xids: [random(1000)] } };
  return { kind: 'record', record: { kind: 'postgres', willInit: random(10) === 0, record: bytes } };
}

/** The same by the plainest means. */
class Model {
  readonly #order: string[] = [];
  readonly #changes = new Map<string, MemoryChange[]>();

  add(key: Uint8Array, change: MemoryChange): void {
    const id = keyToHex(key);
    this.#order.push(id);
    this.#changes.set(id, [...(this.#changes.get(id) ?? []), change]);
  }

  truncate(end: Lsn): void {
    for (;;) {
      const changes = this.#changes.get(this.#order.at(-1) ?? '');
      if ((changes?.at(-1)?.lsn ?? end) <= end) return;
      changes?.pop();
      this.#order.pop();
    }
  }

  of(key: Uint8Array): readonly MemoryChange[] {
    return this.#changes.get(keyToHex(key)) ?? [];
  }

  keys(): readonly string[] {
    return [...new Set(this.#order)].sort();
  }
}

function isInitial({ value }: MemoryChange): boolean {
  return value.kind === 'image' || (value.record.kind === 'postgres' && value.record.willInit);
}

/** The newest first, down to the first that needs no older state. */
function expectedChanges(all: readonly MemoryChange[], at: Lsn, floor: Lsn): readonly MemoryChange[] {
  const found: MemoryChange[] = [];
  for (const change of all.filter((each) => each.lsn <= at && each.lsn > floor).reverse()) {
    found.push(change);
    if (isInitial(change)) break;
  }
  return found;
}

describe('a layer in memory', () => {
  it('gives the changes of every key at every LSN, also after unfinished ones were dropped', () => {
    const random = seededRandom(7);
    const [layer, model] = [new MemoryLayer(lsn(1n)), new Model()];
    let at = 0x1_0000_0000n;
    const keys: Uint8Array[] = [];
    for (let count = 0; count < 8000; count += 1) {
      if (random(3) === 0) at += 8n;
      const [key, value] = [randomKey(random), randomValue(random)];
      layer.add({ key, lsn: lsn(at), value });
      model.add(key, { lsn: lsn(at), value });
      if (count % 80 === 0) keys.push(key);
      if (count % 997 === 0) {
        const end = lsn(at - 16n);
        layer.truncate(end);
        model.truncate(end);
        at = end + 8n;
      }
    }
    for (const key of keys) {
      const all = model.of(key);
      expect(layer.newestLsn(key)).toBe(all.at(-1)?.lsn);
      for (const [lsnMax, floor] of [
        [lsn(at), ZERO_LSN],
        [lsn(0x1_0000_0000n + BigInt(random(50_000))), ZERO_LSN],
        [lsn(at), lsn(0x1_0000_0000n + BigInt(random(50_000)))],
      ] as const) {
        const found: MemoryChange[] = [];
        const isComplete = layer.collect(key, { lsn: lsnMax, floor }, found);
        const expected = expectedChanges(all, lsnMax, floor);
        expect(found).toEqual(expected);
        expect(isComplete).toBe(expected.some(isInitial));
      }
    }
  });

  it('gives its keys in order, each with its changes from the oldest on', () => {
    const random = seededRandom(8);
    const [layer, model] = [new MemoryLayer(lsn(1n)), new Model()];
    for (let count = 0; count < 3000; count += 1) {
      const [key, value] = [randomKey(random), randomValue(random)];
      const at = lsn(BigInt(1000 + count * 8));
      layer.add({ key, lsn: at, value });
      model.add(key, { lsn: at, value });
    }
    const numbers = [...layer.sortedKeys()];
    const keys = numbers.map((number) => layer.keyAt(number));
    expect(keys.map(keyToHex)).toEqual(model.keys());
    expect(keys.every((key, i) => i === 0 || compareKeys(keys[i - 1] ?? key, key) < 0)).toBe(true);
    for (const number of numbers) {
      const found: MemoryChange[] = [];
      layer.visit(number, {
        record: (at, willInit, bytes, offset, length) => {
          const record = Uint8Array.from(bytes.subarray(offset, offset + length));
          found.push({
            lsn: lsn(BigInt(at)),
            value: { kind: 'record', record: { kind: 'postgres', willInit, record } },
          });
        },
        other: (at, value) => found.push({ lsn: lsn(BigInt(at)), value }),
      });
      expect(found).toEqual(model.of(layer.keyAt(number)));
    }
  });

  it('has nothing of a key that was never written', () => {
    const layer = new MemoryLayer(lsn(1n));
    const found: MemoryChange[] = [];
    expect(layer.collect(relBlockKey(TAG, 1), { lsn: lsn(100n), floor: ZERO_LSN }, found)).toBe(false);
    expect([found, layer.newestLsn(relBlockKey(TAG, 1)), layer.entryCount]).toEqual([[], undefined, 0]);
  });
});
