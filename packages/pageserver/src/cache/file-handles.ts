import { type FileHandle, open } from 'node:fs/promises';

/** Files that are kept open. */
const OPEN_FILES_MAX = 128;

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  users: number;
  isDropped: boolean;
}

/** Keeps the latest used files open, so that a read is one system call. */
export class FileHandles {
  readonly #files = new Map<string, OpenFile>();
  #isClosed = false;

  /** Exactly `length` bytes from `offset` on. Throws what `node:fs` throws, and a RangeError for a file that ends before. */
  async read(path: string, offset: number, length: number): Promise<Uint8Array> {
    const file = this.#use(path);
    try {
      const handle = await file.handle;
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw new RangeError(`${path} ends at ${offset + done}`);
        done += bytesRead;
      }
      return bytes;
    } catch (error) {
      this.drop(path);
      throw error;
    } finally {
      file.users -= 1;
      if (this.#isClosed) this.drop(path);
      if (file.isDropped && file.users === 0) close(file);
    }
  }

  /** Closes a file once nobody reads it any more. */
  drop(path: string): void {
    const file = this.#files.get(path);
    if (file === undefined) return;
    this.#files.delete(path);
    file.isDropped = true;
    if (file.users === 0) close(file);
  }

  /** Closes all of them; what is read from now on is closed after each read. */
  close(): void {
    this.#isClosed = true;
    for (const path of [...this.#files.keys()]) this.drop(path);
  }

  #use(path: string): OpenFile {
    const file = this.#files.get(path) ?? { handle: open(path, 'r'), users: 0, isDropped: false };
    file.users += 1;
    this.#files.delete(path);
    this.#files.set(path, file);
    for (const other of this.#files.keys()) {
      if (this.#files.size <= OPEN_FILES_MAX) break;
      this.drop(other);
    }
    return file;
  }
}

/** Nothing was written through it: that closing fails says nothing. */
function close(file: OpenFile): void {
  file.handle.then((handle) => handle.close()).catch(() => undefined);
}
