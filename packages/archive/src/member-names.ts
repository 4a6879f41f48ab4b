import { ArchiveError } from './archive-error.ts';
import type { TarEntry } from './tar-entry.ts';

/** Remembers the names of an archive: no name twice, nothing below a link or a file. */
export class MemberNames {
  readonly #kinds = new Map<string, TarEntry['kind']>();
  readonly #countMax: number;
  readonly #operation: string;

  constructor(options: { readonly countMax: number; readonly operation: string }) {
    this.#countMax = options.countMax;
    this.#operation = options.operation;
  }

  add(path: string, kind: TarEntry['kind']): void {
    const before = this.#kinds.get(path);
    if (before !== undefined && !(before === 'directory' && kind === 'directory'))
      throw this.#error(
        'ARCHIVE_DUPLICATE',
        `member ${path} (${kind}) comes a second time, after a ${before}`,
      );
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const parent = this.#kinds.get(path.slice(0, end));
      if (parent === 'directory') break;
      if (parent !== undefined)
        throw this.#error(
          'ARCHIVE_UNSAFE_PATH',
          `member ${path} lies below ${path.slice(0, end)}, which is a ${parent}`,
        );
    }
    if (this.#kinds.size >= this.#countMax)
      throw this.#error('ARCHIVE_LIMIT', `more than ${this.#countMax} members`);
    this.#kinds.set(path, kind);
  }

  #error(code: 'ARCHIVE_DUPLICATE' | 'ARCHIVE_UNSAFE_PATH' | 'ARCHIVE_LIMIT', what: string): ArchiveError {
    return new ArchiveError({ code, operation: this.#operation, message: `${this.#operation}: ${what}` });
  }
}
