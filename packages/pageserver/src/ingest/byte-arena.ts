const PAGE_BYTES = 1024 * 1024;

/** Many small runs of bytes in few large arrays. */
export class ByteArena {
  readonly #pages: Uint8Array[] = [];
  #page = -1;
  #used = PAGE_BYTES;
  #sizeBytes = 0;

  /** Memory of the arrays. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Where the latest run went. */
  page = 0;
  offset = 0;

  /** Copies a run; `page` and `offset` say where it is. */
  add(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length > PAGE_BYTES) {
      this.page = this.#pages.push(Uint8Array.from(bytes)) - 1;
      this.offset = 0;
      this.#sizeBytes += length;
      return;
    }
    if (this.#used + length > PAGE_BYTES) {
      this.#page = this.#pages.push(new Uint8Array(PAGE_BYTES)) - 1;
      this.#used = 0;
      this.#sizeBytes += PAGE_BYTES;
    }
    this.#pages[this.#page]?.set(bytes, this.#used);
    this.page = this.#page;
    this.offset = this.#used;
    this.#used += length;
  }

  /** The array that a run lies in. */
  pageAt(page: number): Uint8Array {
    return this.#pages[page] ?? new Uint8Array(0);
  }
}
