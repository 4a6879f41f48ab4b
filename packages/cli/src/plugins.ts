// The only module that names backends and formats. Everything is loaded when it is first used.
import { createPluginRegistry, type PluginRegistry } from '@neon-snapshot/storage-core';

/** The packages that come with the CLI. Built-ins and a user's own packages go through the same registration. */
const BUILT_IN = [
  {
    kind: 'storage',
    names: ['file'],
    packageName: '@neon-snapshot/storage-fs',
    load: () => import('@neon-snapshot/storage-fs'),
  },
  {
    kind: 'storage',
    names: ['s3'],
    packageName: '@neon-snapshot/storage-s3',
    load: () => import('@neon-snapshot/storage-s3'),
  },
  {
    kind: 'format',
    names: ['pgdata'],
    packageName: '@neon-snapshot/format-pgdata',
    load: () => import('@neon-snapshot/format-pgdata'),
  },
  {
    kind: 'format',
    names: ['basebackup'],
    liveSchemes: ['postgresql', 'postgres'],
    packageName: '@neon-snapshot/format-basebackup',
    load: () => import('@neon-snapshot/format-basebackup'),
  },
  {
    kind: 'format',
    names: ['neon'],
    packageName: '@neon-snapshot/format-neon',
    load: () => import('@neon-snapshot/format-neon'),
  },
] as const;

/** Name of the format that `storage_dest` is in. */
export const STORAGE_DEST_FORMAT = 'neon';
/** Name of the format of a data directory on this machine. */
export const DATA_DIRECTORY_FORMAT = 'pgdata';

/** A registry with the built-ins; third-party packages are added with {@link registerPackages}. */
export function createRegistry(): PluginRegistry {
  const registry = createPluginRegistry();
  for (const plugin of BUILT_IN) {
    registry.register({ ...plugin, load: async () => (await plugin.load()).plugin });
  }
  return registry;
}

/** Operations on a bucket in Neon's layout that are not part of the format port. */
export function loadNeonFormat(): Promise<typeof import('@neon-snapshot/format-neon')> {
  return import('@neon-snapshot/format-neon');
}
