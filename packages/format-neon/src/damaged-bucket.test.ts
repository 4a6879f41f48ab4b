import type { Storage } from '@neon-snapshot/storage-core';
import { describe, expect, test } from 'vitest';
import { plugin } from './plugin.ts';
import { digestFiles } from './testing/exported-files.ts';
import { bytesOf, imported, keysOf, openReader, readFiles, TENANT } from './testing/made-up-runs.ts';
import { SYSTEM_IDENTIFIER } from './testing/made-up-snapshot.ts';
import { testServices } from './testing/services.ts';

describe('damage in the bucket', () => {
  test('a missing layer is an error', async () => {
    await using storage = await imported();
    const layers = (await keysOf(storage)).filter((key) => /__[0-9A-F]{16}-/.test(key));
    for (const key of layers) {
      const bytes = await bytesOf(storage, key);
      await storage.delete([key]);
      await expect(readFiles(storage), key).rejects.toMatchObject({
        code: expect.stringMatching(/^(STORAGE|FORMAT)_/),
      });
      await storage.put(key, bytes);
    }
    expect((await readFiles(storage)).size).toBeGreaterThan(10);
  });

  test('any flipped bit in any layer is an error or changes nothing but stored bytes', async () => {
    await using storage = await imported();
    const intact = await digest(storage);
    const layers = (await keysOf(storage)).filter((key) => /__[0-9A-F]{16}-/.test(key));
    for (const key of layers) {
      const bytes = await bytesOf(storage, key);
      for (let offset = 1; offset < bytes.length; offset += Math.ceil(bytes.length / 3)) {
        const flipped = Uint8Array.from(bytes);
        flipped[offset] = (flipped[offset] ?? 0) ^ 0x10;
        await storage.put(key, flipped);
        const outcome = await digest(storage).catch((error: unknown) => error);
        if (outcome instanceof Map) expect([...outcome.keys()], key).toEqual([...intact.keys()]);
        else expect(outcome, key).toMatchObject({ code: expect.stringMatching(/^FORMAT_/) });
      }
      await storage.put(key, bytes);
    }
  });

  test('an index cut anywhere is an error', async () => {
    await using storage = await imported();
    const key = (await keysOf(storage)).find((each) => each.includes('index_part')) ?? '';
    const bytes = await bytesOf(storage, key);
    for (let length = 0; length < bytes.length - 1; length += 97) {
      await storage.put(key, bytes.slice(0, length));
      await expect(openReader(storage), `${length}`).rejects.toMatchObject({
        code: 'FORMAT_INVALID',
        message: expect.stringContaining(`${key} in ${storage.url}: `),
      });
    }
  });

  test('a layer of a format that is not known is told from a damaged one', async () => {
    await using storage = await imported();
    for (const key of (await keysOf(storage)).filter((each) => /__[0-9A-F]{16}-/.test(each))) {
      const bytes = Uint8Array.from(await bytesOf(storage, key));
      new DataView(bytes.buffer).setUint16(2, 4);
      await storage.put(key, bytes);
    }
    await expect(readFiles(storage)).rejects.toMatchObject({
      code: 'FORMAT_UNKNOWN_VERSION',
      message: expect.stringMatching(/its version is 4, supported is 3/),
    });
  });

  test('configuration of another cluster is left out with a warning', async () => {
    await using storage = await imported();
    const key = `neon-snapshot/${TENANT}/cluster/cluster.json`;
    const text = Buffer.from(await bytesOf(storage, key)).toString();
    await storage.put(key, Buffer.from(text.replace(`${SYSTEM_IDENTIFIER}`, '1')));
    const { services, warnings } = testServices();
    await using reader = await plugin.openReader({ storage, options: {}, services, concurrency: 1 });
    expect(warnings.join()).toContain('belongs to another cluster');
    expect(reader.plan?.some(({ path }) => path === 'postgresql.conf')).toBe(false);
  });
});

async function digest(storage: Storage) {
  await using reader = await openReader(storage);
  return await digestFiles(reader);
}
