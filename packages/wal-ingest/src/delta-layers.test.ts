import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type BuiltLayer,
  CHECKPOINT_KEY,
  encodeSizeValue,
  isL0,
  KEY_MAX,
  KEY_MIN,
  keyFromHex,
  LayerFile,
  relBlockKey,
  relSizeKey,
} from '@neon-snapshot/neon-layer';
import { type Lsn, lsn } from '@neon-snapshot/postgres';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { describe, expect, it } from 'vitest';
import { buildDeltaLayers } from './delta-layers.ts';
import { TABLE } from './testing/test-timeline.ts';
import type { IngestWrite } from './timeline-state.ts';

const IDENTITY = {
  tenantId: '3aa8fcc61f6d357410b7de754b1d9001',
  timelineId: '641e5342083b2235ee3deb8066819683',
};
const at = (value: number): Lsn => lsn(BigInt(value));

function imageAt(key: Uint8Array, position: number, image: Uint8Array): IngestWrite {
  return { key, lsn: at(position), value: { kind: 'image', image } };
}

/** Ten records at 8, 16 … 80, each of two pages of 500 bytes and the checkpoint. */
const WRITES = Array.from({ length: 10 }, (_, i) => [
  imageAt(CHECKPOINT_KEY, 8 * (i + 1), new Uint8Array(10)),
  imageAt(relBlockKey(TABLE, i), 8 * (i + 1), new Uint8Array(500).fill(i)),
  imageAt(relBlockKey(TABLE, 0x100), 8 * (i + 1), new Uint8Array(500)),
]).flat();

/** Key and LSN of every entry as a reader of the file finds them. */
async function readBack(layer: BuiltLayer): Promise<readonly (readonly [Uint8Array, Lsn])[]> {
  const rootPath = await mkdtemp(path.join(tmpdir(), 'neon-ingest-'));
  try {
    const storage = await openFsStorage({ rootPath, create: true });
    await storage.put(layer.name, Buffer.concat(layer.chunks));
    const file = await LayerFile.open(storage, layer.name, { ...layer, tenantId: IDENTITY.tenantId });
    const found: (readonly [Uint8Array, Lsn])[] = [];
    for await (const { key, lsn: lsnOf } of file.entries({ start: KEY_MIN, end: KEY_MAX })) {
      found.push([key.slice(), lsnOf]);
    }
    return found;
  } finally {
    await rm(rootPath, { recursive: true });
  }
}

describe('buildDeltaLayers', () => {
  it('writes the example file of the format, whatever the order of keys', () => {
    const tag = { spcNode: 1663, dbNode: 5, relNode: 2700, forkNum: 0 } as const;
    const writes: IngestWrite[] = [
      imageAt(relSizeKey(tag), 0x14aeb90, encodeSizeValue(1)),
      {
        key: keyFromHex('010000000000000001000000000000000000'),
        lsn: at(0x14aec80),
        value: {
          kind: 'record',
          record: { kind: 'clog-set-committed', xids: [725, 726], timestamp: 0x0002a1b2c3d4e5f6n },
        },
      },
    ];
    const options = { ...IDENTITY, lsnStart: at(0x14aeb90), lsnEnd: at(0x14aec81) };
    const [layer, ...others] = buildDeltaLayers(writes, options);
    expect(others).toEqual([]);
    const digest = createHash('sha256')
      .update(Buffer.concat(layer?.chunks ?? []))
      .digest('hex');
    expect(digest).toBe('48956998e92dba4a68bdc36a8a05e97b24b3a0d457867bbc254bf5ac9b64e8b4');
  });

  it('ends a layer behind the record that fills it; the next begins there', async () => {
    const options = { ...IDENTITY, lsnStart: at(1), lsnEnd: at(89), layerBytesMax: 3000 };
    const layers = [...buildDeltaLayers(WRITES, options)];
    expect(layers.map(({ desc }) => [desc.lsnStart, desc.lsnEnd])).toEqual([
      [1n, 25n],
      [25n, 49n],
      [49n, 73n],
      [73n, 89n],
    ]);
    expect(layers.every(({ desc }) => isL0(desc))).toBe(true);
    const entries = (await Promise.all(layers.map(readBack))).flat();
    const ours = WRITES.map(({ key, lsn: lsnOf }) => `${Buffer.from(key).toString('hex')} ${lsnOf}`);
    const found = entries.map(([key, lsnOf]) => `${Buffer.from(key).toString('hex')} ${lsnOf}`);
    expect(found.toSorted()).toEqual(ours.toSorted());
  });

  it('makes no layer of nothing', () => {
    expect([...buildDeltaLayers([], { ...IDENTITY, lsnStart: at(1), lsnEnd: at(9) })]).toEqual([]);
  });

  it('refuses writes whose LSNs descend or lie before the layer', () => {
    const build = (writes: readonly IngestWrite[]): unknown => [
      ...buildDeltaLayers(writes, { ...IDENTITY, lsnStart: at(16), lsnEnd: at(99) }),
    ];
    const refusal = expect.objectContaining({ code: 'INGEST_OUT_OF_ORDER' });
    const image = new Uint8Array(1);
    expect(() => build([imageAt(CHECKPOINT_KEY, 8, image)])).toThrow(refusal);
    expect(() => build([imageAt(CHECKPOINT_KEY, 24, image), imageAt(KEY_MIN, 16, image)])).toThrow(refusal);
  });
});
