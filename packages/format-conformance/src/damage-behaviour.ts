import type { GetOptions, GetResult, Storage } from '@neon-snapshot/storage-core';
import { withoutBulkVerbs } from '@neon-snapshot/storage-core';
import { expect } from 'vitest';
import type { FormatKitOptions } from './kit-options.ts';
import {
  expectTyped,
  expectTypedFailure,
  type KitTest,
  keysOf,
  kitModel,
  readSnapshot,
  writeSnapshot,
} from './kit-run.ts';

/** Objects changed for each kind of damage, at most, spread over all of them. */
const DAMAGED_OBJECTS_MAX = 40;

/** Stored snapshots that were damaged: a typed error, or the whole snapshot where what was damaged does not matter; never a crash or a hang. */
export function describeDamage(kitTest: KitTest, kit: FormatKitOptions): void {
  for (const [name, damage] of Object.entries(DAMAGES)) {
    kitTest(`reads no accident from a snapshot with an object ${name}`, async (storage) => {
      const { reader } = kitModel(kit, { pageCount: 40 });
      await writeSnapshot(kit, { reader, storage });
      const keys = (await keysOf(storage)).filter((key) => !key.endsWith('/'));
      const step = Math.max(1, Math.floor(keys.length / DAMAGED_OBJECTS_MAX));
      for (let index = 0; index < keys.length; index += step) {
        const key = keys[index] ?? '';
        const outcome = await readSnapshot(kit, { storage: damage(storage, key) }).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (outcome !== undefined) expectTyped(outcome, `${key} ${name}`);
      }
    });
  }

  kitTest('says that there is nothing in an empty place', async (storage) => {
    const error = await expectTypedFailure(readSnapshot(kit, { storage }), 'an empty place');
    expect(error).toHaveProperty('code', expect.stringMatching(/NOT_FOUND|INVALID/));
  });
}

type Damage = (storage: Storage, key: string) => Storage;

const DAMAGES: Readonly<Record<string, Damage>> = {
  'that ends in its middle': (storage, damaged) =>
    changed(storage, damaged, (bytes) => bytes.subarray(0, bytes.length >> 1)),
  'that is empty': (storage, damaged) => changed(storage, damaged, () => new Uint8Array()),
  'of zeros': (storage, damaged) => changed(storage, damaged, (bytes) => new Uint8Array(bytes.length)),
  'with a flipped byte': (storage, damaged) =>
    changed(storage, damaged, (bytes) => {
      const copy = Uint8Array.from(bytes);
      const at = Math.floor(copy.length / 3);
      copy[at] = (copy[at] ?? 0) ^ 0xff;
      return copy;
    }),
};

/** The same storage, but one object's bytes are others, as `head`, `list` and `get` all say. */
function changed(storage: Storage, damaged: string, change: (bytes: Uint8Array) => Uint8Array): Storage {
  const whole = async () => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await storage.get(damaged)).body) chunks.push(chunk);
    return change(Buffer.concat(chunks));
  };
  const sized = async <Info extends { readonly key: string; readonly sizeBytes: number }>(info: Info) =>
    info.key === damaged ? { ...info, sizeBytes: (await whole()).length } : info;
  return {
    url: storage.url,
    capability: storage.capability,
    ...withoutBulkVerbs(storage),
    head: async (key, options) => sized(await storage.head(key, options)),
    get: async (key, options) =>
      key === damaged ? getFrom(storage, { key, bytes: await whole(), options }) : storage.get(key, options),
    async *list(options) {
      for await (const page of storage.list(options))
        yield { ...page, objects: await Promise.all(page.objects.map(sized)) };
    },
    put: (key, body, options) => storage.put(key, body, options),
    delete: (keys, options) => storage.delete(keys, options),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function getFrom(
  storage: Storage,
  of: { readonly key: string; readonly bytes: Uint8Array; readonly options: GetOptions | undefined },
): Promise<GetResult> {
  const { key, bytes, options } = of;
  const { offset = 0, length = bytes.length - offset } = options?.range ?? {};
  // A range that is not inside is the storage's own error.
  if (offset < 0 || length < 0 || offset + length > bytes.length) {
    return storage.get(key, { ...options, range: { offset: Number.MAX_SAFE_INTEGER - 1, length: 1 } });
  }
  const part = Uint8Array.from(bytes.subarray(offset, offset + length));
  return {
    info: { ...(await storage.head(key)), sizeBytes: bytes.length },
    body: (async function* () {
      if (part.length > 0) yield part;
    })(),
  };
}
