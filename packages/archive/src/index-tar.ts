import { ArchiveError, throwIfAborted } from './archive-error.ts';
import { normaliseEntryPath } from './entry-path.ts';
import { paddingOf, TAR_BLOCK_SIZE } from './tar-entry.ts';
import { decodeTarHeader, isZeroBlock } from './tar-header.ts';

/** Where a file lies in a tar. */
export interface IndexedMember {
  readonly path: string;
  readonly sizeBytes: number;
  /** Of its first byte. */
  readonly offset: number;
}

export interface IndexTarOptions {
  /** Of the whole tar. */
  readonly sizeBytes: number;
  /** Gives exactly the bytes asked for. */
  read(range: { readonly offset: number; readonly length: number }): Promise<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

const OPERATION = 'index tar';
/** Headers of small files lie close together; a larger window would only read bodies. */
const WINDOW_SIZE_BYTES = 256 * 1024;
const FILE_TYPES: readonly string[] = ['File', 'OldFile', 'ContiguousFile'];
const PASSED_TYPES: readonly string[] = ['Directory', 'SymbolicLink'];

/**
 * The files of an uncompressed tar, found by their headers alone; bodies are skipped. For tars that a server of Postgres made: long
 * names and extended headers are `ARCHIVE_UNSUPPORTED`. Throws what `readTar` throws.
 */
export async function* indexTar(options: IndexTarOptions): AsyncGenerator<IndexedMember, void, void> {
  const { sizeBytes, signal } = options;
  const window = new Window(options);
  for (let offset = 0; ; ) {
    throwIfAborted(signal, OPERATION);
    if (offset + TAR_BLOCK_SIZE > sizeBytes)
      throw fault('ARCHIVE_TRUNCATED', `it ends at ${sizeBytes}, before its end mark`);
    const block = await window.read(offset, TAR_BLOCK_SIZE);
    if (isZeroBlock(block)) return;
    const header = decodeTarHeader(block, { position: offset, operation: OPERATION, pending: {} });
    const body = offset + TAR_BLOCK_SIZE;
    if (FILE_TYPES.includes(header.type)) {
      const path = normaliseEntryPath(header.path, OPERATION);
      if (body + header.sizeBytes > sizeBytes)
        throw fault('ARCHIVE_TRUNCATED', `it ends inside ${header.path}`);
      if (path !== undefined) yield { path, sizeBytes: header.sizeBytes, offset: body };
    } else if (!PASSED_TYPES.includes(header.type)) {
      throw fault('ARCHIVE_UNSUPPORTED', `${header.path} is a ${header.type}`);
    }
    const stored = FILE_TYPES.includes(header.type) ? header.sizeBytes + paddingOf(header.sizeBytes) : 0;
    offset = body + stored;
  }
}

class Window {
  readonly #options: IndexTarOptions;
  #bytes: Uint8Array = new Uint8Array(0);
  #start = 0;

  constructor(options: IndexTarOptions) {
    this.#options = options;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset < this.#start || offset + length > this.#start + this.#bytes.length) {
      const room = this.#options.sizeBytes - offset;
      this.#bytes = await this.#options.read({ offset, length: Math.min(WINDOW_SIZE_BYTES, room) });
      this.#start = offset;
    }
    return this.#bytes.subarray(offset - this.#start, offset - this.#start + length);
  }
}

function fault(code: 'ARCHIVE_TRUNCATED' | 'ARCHIVE_UNSUPPORTED', what: string): ArchiveError {
  return new ArchiveError({ code, operation: OPERATION, message: `${OPERATION}: ${what}` });
}
