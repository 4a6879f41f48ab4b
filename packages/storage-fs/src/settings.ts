import { type SettingDescription, StorageError } from '@neon-snapshot/storage-core';

/** Every setting of the file storage. */
export const FS_SETTINGS = [
  {
    name: 'FS_FILE_MODE',
    urlOption: 'file_mode',
    default: '0600',
    description: 'permission bits of new files, octal',
  },
  {
    name: 'FS_DIRECTORY_MODE',
    urlOption: 'directory_mode',
    default: '0700',
    description: 'permission bits of new directories, octal',
  },
] as const satisfies readonly SettingDescription[];

/** `0640` as a number; anything else is `STORAGE_INVALID_OPTION`. */
export function parseMode(name: string, text: string): number {
  if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8);
  throw new StorageError({
    code: 'STORAGE_INVALID_OPTION',
    operation: 'open',
    message: `${name} is "${text}", but permission bits are three octal digits, e.g. 0640`,
  });
}
