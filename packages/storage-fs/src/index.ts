export { type FsStorageOptions, openFsStorage } from './fs-storage.ts';
export { plugin } from './plugin.ts';
