import { describe, expect, test } from 'vitest';
import { createMemoryStorage } from './memory-storage.ts';
import { openStorage } from './open-storage.ts';
import type { StoragePlugin } from './plugin.ts';
import { PluginError } from './plugin-error.ts';
import { createPluginRegistry, type PluginRegistration } from './plugin-registry.ts';

const PLUGIN: StoragePlugin = {
  kind: 'storage',
  name: 'mem',
  schemes: ['mem', 'memory'],
  settings: [],
  open: async (location) => createMemoryStorage({ url: location.url }),
};
const REGISTRATION: PluginRegistration = {
  kind: 'storage',
  names: ['mem', 'memory'],
  packageName: '@acme/mem',
  load: async () => PLUGIN,
};

async function codeOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    if (error instanceof PluginError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('the plugin registry', () => {
  test('lists what is registered without loading it, and loads once', async () => {
    let loads = 0;
    const registry = createPluginRegistry();
    registry.register({
      ...REGISTRATION,
      load: async () => {
        loads += 1;
        return PLUGIN;
      },
    });
    expect(registry.list()).toEqual([
      { kind: 'storage', names: ['mem', 'memory'], packageName: '@acme/mem' },
    ]);
    expect(loads).toBe(0);
    const [one, other] = await Promise.all([
      registry.load('storage', 'mem'),
      registry.load('storage', 'memory'),
    ]);
    expect(one).toBe(PLUGIN);
    expect(other).toBe(PLUGIN);
    expect(loads).toBe(1);
  });

  test('tells a package that is not installed from one that does not load', async () => {
    const registry = createPluginRegistry();
    const absent = '@acme/not-installed-anywhere';
    registry.register({
      ...REGISTRATION,
      packageName: absent,
      load: () => import(`${absent}`) as Promise<unknown>,
    });
    expect(await codeOf(() => registry.load('storage', 'mem'))).toBe('PLUGIN_NOT_INSTALLED');
    const broken = createPluginRegistry();
    broken.register({ ...REGISTRATION, load: () => import(`${absent}`) as Promise<unknown> });
    expect(await codeOf(() => broken.load('storage', 'mem'))).toBe('PLUGIN_LOAD_FAILED');
  });

  test('refuses a second package of the same name and keeps nothing of it', async () => {
    const registry = createPluginRegistry();
    registry.register(REGISTRATION);
    const other = { ...REGISTRATION, names: ['other', 'mem'], packageName: '@other/mem' };
    expect(() => registry.register(other)).toThrow('@other/mem and @acme/mem both offer the storage "mem"');
    expect(await codeOf(() => registry.load('storage', 'other'))).toBe('PLUGIN_NOT_FOUND');
    registry.register({ ...REGISTRATION, kind: 'format', packageName: '@acme/format' });
  });

  test('names what is there when a name is not', async () => {
    const registry = createPluginRegistry();
    registry.register(REGISTRATION);
    await expect(registry.load('storage', 'men')).rejects.toThrow('Did you mean "mem"?');
    await expect(registry.load('format', 'mem')).rejects.toThrow('there are: none');
  });

  test('refuses what is not shaped like a plugin of its kind and name', async () => {
    for (const value of [
      undefined,
      'text',
      {},
      { ...PLUGIN, kind: 'other' },
      { ...PLUGIN, open: undefined },
      { ...PLUGIN, schemes: ['MEM'] },
      { ...PLUGIN, schemes: ['elsewhere'] },
      { kind: 'format', name: 'mem', capability: {} },
    ]) {
      const registry = createPluginRegistry();
      registry.register({ ...REGISTRATION, load: async () => value });
      expect(await codeOf(() => registry.load('storage', 'mem'))).toBe('PLUGIN_INVALID');
    }
    expect(await codeOf(() => createPluginRegistry().registerLoaded({}, '@acme/x'))).toBe('PLUGIN_INVALID');
  });

  test('accepts a plugin whose members are methods of a class', async () => {
    class ClassPlugin {
      readonly kind = 'storage';
      readonly name = 'mem';
      readonly schemes = ['mem'];
      readonly settings = [];
      async open() {
        return createMemoryStorage();
      }
    }
    const registry = createPluginRegistry();
    registry.registerLoaded(new ClassPlugin(), '@acme/class');
    expect((await registry.load('storage', 'mem')).name).toBe('mem');
  });

  test('a package that fails to load is named, and tried again the next time', async () => {
    let broken = true;
    const registry = createPluginRegistry();
    registry.register({
      ...REGISTRATION,
      load: async () => {
        if (broken) throw new Error('no such module');
        return PLUGIN;
      },
    });
    await expect(registry.load('storage', 'mem')).rejects.toThrow(
      '@acme/mem could not be loaded: no such module',
    );
    broken = false;
    expect(await registry.load('storage', 'mem')).toBe(PLUGIN);
  });

  test('opens a URL with the settings of its role, for reading only where asked', async () => {
    const registry = createPluginRegistry();
    const seen: unknown[] = [];
    registry.registerLoaded(
      {
        ...PLUGIN,
        open: async (location, context) => {
          seen.push(location.path, context.settings.get('X'), context.access);
          return createMemoryStorage({ url: location.url });
        },
      } satisfies StoragePlugin,
      '@acme/mem',
    );
    const env = { NEON_SNAPSHOT_X: 'for snapshots', X: 'plain' };
    const storage = await openStorage(registry, 'mem://host/a/b', { role: 'snapshot', env, access: 'read' });
    expect(seen).toEqual(['a/b', 'for snapshots', 'read']);
    expect(storage.url).toBe('mem://host/a/b');
    expect(storage.capability.writable).toBe(false);
    expect(storage.copy).toBeUndefined();
    await expect(storage.put('x', new Uint8Array(1))).rejects.toMatchObject({ code: 'STORAGE_UNSUPPORTED' });
    await expect(storage.delete(['x'])).rejects.toMatchObject({ code: 'STORAGE_UNSUPPORTED' });
    const writable = await openStorage(registry, 'mem://host', { role: 'storage', env, access: 'write' });
    await writable.put('x', new Uint8Array(1));
    expect((await writable.head('x')).sizeBytes).toBe(1);
  });
});
