export {
  ArchiveError,
  type ArchiveErrorCode,
  type ArchiveErrorOptions,
  isArchiveError,
} from './archive-error.ts';
export {
  type CompressionKind,
  type CompressOptions,
  compress,
  decompress,
  decompressionOf,
} from './compression.ts';
export { directoryMembers } from './directory-members.ts';
export { type ReadTarOptions, readTar, type TarLimits } from './read-tar.ts';
export type { TarEntry, TarMember } from './tar-entry.ts';
export { type WriteTarOptions, writeTar } from './write-tar.ts';
