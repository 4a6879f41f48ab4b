import { resolveSettings, type StoragePlugin } from '@neon-snapshot/storage-core';
import { openFsStorage } from './fs-storage.ts';
import { FS_SETTINGS, parseMode } from './settings.ts';

/** The backend of `file://` URLs and bare paths. Opening to write creates nothing: the first write makes the root. */
export const plugin: StoragePlugin = {
  kind: 'storage',
  name: 'fs',
  schemes: ['file'],
  settings: FS_SETTINGS,
  async open(location, { settings, access }) {
    const values = resolveSettings({ location, scope: settings, descriptions: FS_SETTINGS });
    return openFsStorage({
      rootPath: location.path,
      create: access === 'write',
      fileMode: parseMode('file_mode', values.get('FS_FILE_MODE') ?? ''),
      directoryMode: parseMode('directory_mode', values.get('FS_DIRECTORY_MODE') ?? ''),
    });
  },
};
