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
export { FrameThreads } from './frame-threads.ts';
export { FramedStream, type FramedStreamOptions } from './framed-stream.ts';
export { type IndexedMember, type IndexTarOptions, indexTar } from './index-tar.ts';
export { type ReadTarOptions, readTar, type TarLimits } from './read-tar.ts';
export {
  decodeSeekTable,
  SEEK_TABLE_FOOTER_SIZE,
  type SeekTableEntry,
  seekTableSize,
} from './seek-table.ts';
export { paddingOf, TAR_BLOCK_SIZE, TAR_END_SIZE, type TarEntry, type TarMember } from './tar-entry.ts';
export { encodeUstarHeader, type UstarMember } from './ustar-header.ts';
export { type WriteTarOptions, writeTar } from './write-tar.ts';
