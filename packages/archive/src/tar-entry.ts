/** One member of a tar archive as read. */
export interface TarEntry {
  readonly kind: 'file' | 'directory' | 'link';
  /** Relative, `/` separated, without `.`, `..`, empty components or a trailing `/`. */
  readonly path: string;
  /** Exactly what `body` yields; 0 for directories and links. */
  readonly sizeBytes: number;
  /** Permission bits. */
  readonly mode: number;
  readonly modifiedAt: Date;
  /** Of a symbolic link, exactly as stored: it may be absolute or lead outside. */
  readonly linkTarget?: string;
  /** Views of the stream's own chunks. May be read once, and only until the next entry is asked for. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** One member of a tar archive to be written. */
export interface TarMember {
  readonly kind: 'file' | 'directory' | 'link';
  /** Relative, `/` separated. */
  readonly path: string;
  /** Of a file: exactly what `body` yields. */
  readonly sizeBytes?: number;
  /** Default 0644 for files, 0755 for directories, 0777 for links. */
  readonly mode?: number;
  /** Default 1970-01-01, so that the same contents give the same bytes. Whole seconds are kept. */
  readonly modifiedAt?: Date;
  readonly linkTarget?: string;
  readonly body?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export const TAR_BLOCK_SIZE = 512;
/** Two zero blocks end an archive. */
export const TAR_END_SIZE = 2 * TAR_BLOCK_SIZE;

/** Zeros after a body of this length, up to the next block. */
export function paddingOf(sizeBytes: number): number {
  return (TAR_BLOCK_SIZE - (sizeBytes % TAR_BLOCK_SIZE)) % TAR_BLOCK_SIZE;
}
