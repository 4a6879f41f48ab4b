import type { BigIntStats } from 'node:fs';
import type { ObjectInfo } from '@neon-snapshot/storage-core';

export const PERMISSION_BITS = 0o7777n;

/** A file, link (with its target) or directory marker as an object. */
export function objectInfo(key: string, stats: BigIntStats, linkTarget?: string): ObjectInfo {
  return {
    key,
    sizeBytes: stats.isFile() ? Number(stats.size) : 0,
    etag: etagOf(stats),
    modifiedAt: stats.mtime,
    mode: Number(stats.mode & PERMISSION_BITS),
    ...(linkTarget === undefined ? {} : { linkTarget }),
  };
}

/** Every version is a new inode with a time of microseconds, see `TemporaryFile.stamp`. */
export function etagOf(stats: BigIntStats): string {
  return `${stats.ino.toString(36)}-${stats.size.toString(36)}-${stats.mtimeNs.toString(36)}`;
}
