import { relBlockKey, slruBlockKey, type Value } from '@neon-snapshot/neon-layer';
import { encodeWalRecord, lsn, RESOURCE_MANAGER, type RelTag } from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { addLaterLayer, LATER_LSN } from './testing/later-layer.ts';
import { imported, readFiles } from './testing/made-up-runs.ts';
import { makeSnapshot } from './testing/made-up-snapshot.ts';
import { testServices } from './testing/services.ts';

/* Records on top of a made-up import; what they do to pages is wal-redo's to test. */

function tag(relNode: number, forkNum: 0 | 2 = 0): RelTag {
  return { spcNode: 1663, dbNode: 5, relNode, forkNum };
}

/** A record with one block reference and nothing else. */
function record(of: {
  readonly tag: RelTag;
  readonly block: number;
  readonly resourceManager: number;
}): Value {
  const content = new Uint8Array(20);
  const view = new DataView(content.buffer);
  const { spcNode, dbNode, relNode, forkNum } = of.tag;
  view.setUint8(1, forkNum);
  for (const [i, field] of [spcNode, dbNode, relNode, of.block].entries())
    view.setUint32(4 + 4 * i, field, true);
  const header = { xid: 3, previous: lsn(0x28n), info: 0, resourceManager: of.resourceManager };
  const bytes = encodeWalRecord(header, content);
  return { kind: 'record', record: { kind: 'postgres', willInit: false, record: bytes } };
}

async function withRecord(key: Uint8Array, value: Value): Promise<Storage> {
  const storage = await imported();
  await addLaterLayer(storage, [[key, value]]);
  return storage;
}

describe('a record that cannot be applied', () => {
  test('is named with its page where redo does not know it', async () => {
    const value = record({ tag: tag(1259), block: 1, resourceManager: 200 });
    await using storage = await withRecord(relBlockKey(tag(1259), 1), value);
    const error = await readFiles(storage).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'FORMAT_NEEDS_REDO',
      context: { path: 'base/5/1259', block: 1, fault: 'REDO_UNSUPPORTED_RECORD' },
    });
    expect(String(error)).toMatch(/resource manager 200, info 0x0/);
  });

  test('of another page is damage', async () => {
    const value = record({ tag: tag(1259), block: 7, resourceManager: RESOURCE_MANAGER.heap });
    await using storage = await withRecord(relBlockKey(tag(1259), 0), value);
    await expect(readFiles(storage)).rejects.toMatchObject({
      code: 'FORMAT_INVALID',
      context: { path: 'base/5/1259', block: 0, fault: 'REDO_FOREIGN_RECORD' },
    });
  });

  test('leaves an empty page of the visibility map, with a warning', async () => {
    const value = record({ tag: tag(1259, 2), block: 0, resourceManager: 200 });
    await using storage = await withRecord(relBlockKey(tag(1259, 2), 0), value);
    const { services, warnings } = testServices();
    await using reader = await plugin.openReader({ storage, options: {}, services, concurrency: 1 });
    for (const partition of reader.partitions(1)) {
      for await (const entry of partition.entries) {
        if (entry.kind !== 'file') continue;
        let isZero = true;
        for await (const chunk of entry.body) isZero &&= chunk.every((byte) => byte === 0);
        if (entry.path === 'base/5/1259_vm') expect(isZero).toBe(true);
      }
    }
    await reader.finish();
    expect(warnings.join()).toMatch(/^1 pages? of free space and visibility maps/);
  });
});

test("Neon's own records change transaction status and visibility maps", async () => {
  const { files } = makeSnapshot();
  await using storage = await imported();
  await addLaterLayer(storage, [
    [
      relBlockKey(tag(1259, 2), 0),
      {
        kind: 'record',
        record: { kind: 'clear-visibility-map-flags', newHeapBlock: 0, oldHeapBlock: undefined, flags: 3 },
      },
    ],
    [
      slruBlockKey('clog', 0, 0),
      { kind: 'record', record: { kind: 'clog-set-committed', xids: [5], timestamp: 7n } },
    ],
  ]);
  const found = await readFiles(storage);
  const status = Uint8Array.from(files.get('pg_xact/0000') ?? []);
  status[1] = ((status[1] ?? 0) & ~0x0c) | 0x04;
  expect(found.get('pg_xact/0000')).toEqual(status);
  const map = found.get('base/5/1259_vm') ?? new Uint8Array();
  const lsnOf = (page: Uint8Array) => new DataView(page.buffer, page.byteOffset).getUint32(4, true);
  expect([lsnOf(map), (map[24] ?? 0) & 3]).toEqual([Number(LATER_LSN), 0]);
});
