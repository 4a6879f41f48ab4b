import { lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { KEY_MAX, KEY_MIN, keyFromHex } from './key.ts';
import { LayerMap } from './layer-map.ts';
import type { LayerDesc } from './layer-name.ts';

const key = (first: number) => keyFromHex(first.toString(16).padStart(2, '0').padEnd(36, '0'));

interface Layer {
  readonly name: string;
  readonly desc: LayerDesc;
}

function image(name: string, at: number, [start, end]: readonly [number, number] = [0, 255]): Layer {
  const [keyStart, keyEnd] = [key(start), key(end)];
  return {
    name,
    desc: { kind: 'image', keyStart, keyEnd, lsnStart: lsn(BigInt(at)), lsnEnd: lsn(BigInt(at + 1)) },
  };
}

function delta(name: string, [from, to]: readonly [number, number], keys?: readonly [number, number]): Layer {
  const [keyStart, keyEnd] = keys === undefined ? [KEY_MIN, KEY_MAX] : [key(keys[0]), key(keys[1])];
  return {
    name,
    desc: { kind: 'delta', keyStart, keyEnd, lsnStart: lsn(BigInt(from)), lsnEnd: lsn(BigInt(to)) },
  };
}

/** Names and floors of the layers that are visited for a key from an LSN (exclusive) down. */
function visits(layers: readonly Layer[], first: number, lsnEnd: number): string {
  const map = new LayerMap(layers);
  const names: string[] = [];
  for (let end = lsn(BigInt(lsnEnd)); ; ) {
    const found = map.search(key(first), end);
    if (found === undefined) return names.join(' ');
    names.push(`${found.layer.name}@${found.lsnFloor}`);
    if (found.layer.desc.kind === 'image') return names.join(' ');
    end = found.lsnFloor;
  }
}

describe('LayerMap', () => {
  it('visits deltas newest first, down to the image', () => {
    const layers = [image('i', 10), delta('a', [11, 20]), delta('b', [20, 30])];
    expect(visits(layers, 1, 100)).toBe('b@20 a@11 i@10');
    expect(visits(layers, 1, 25)).toBe('b@20 a@11 i@10');
    expect(visits(layers, 1, 20)).toBe('a@11 i@10');
    expect(visits(layers, 1, 11)).toBe('i@10');
    expect(visits(layers, 1, 10)).toBe('');
  });

  it('cuts a delta at an image that lies inside of it', () => {
    expect(visits([image('i', 15), delta('a', [11, 20])], 1, 100)).toBe('a@16 i@15');
  });

  it('prefers an image that holds all of the delta, or all up to the LSN that is asked for', () => {
    const layers = [image('i', 19), delta('a', [11, 20])];
    expect(visits(layers, 1, 100)).toBe('i@19');
    expect(visits([image('i', 15), delta('a', [11, 20])], 1, 16)).toBe('i@15');
  });

  it('takes the newest image that is not above the LSN', () => {
    const layers = [image('old', 10), image('new', 40)];
    expect([visits(layers, 1, 100), visits(layers, 1, 41), visits(layers, 1, 40)]).toEqual([
      'new@40',
      'new@40',
      'old@10',
    ]);
  });

  it('looks at layers of the key only, however they nest', () => {
    const layers = [
      image('left', 10, [0, 50]),
      image('right', 10, [50, 100]),
      delta('wide', [11, 20], [0, 200]),
      delta('narrow', [20, 30], [40, 60]),
      delta('l0', [30, 40]),
    ];
    expect(visits(layers, 10, 100)).toBe('l0@30 wide@11 left@10');
    expect(visits(layers, 50, 100)).toBe('l0@30 narrow@20 wide@11 right@10');
    expect(visits(layers, 100, 100)).toBe('l0@30 wide@11');
    expect(visits(layers, 250, 100)).toBe('l0@30');
  });

  it('of no layers finds none', () => {
    expect(visits([], 1, 100)).toBe('');
  });
});
