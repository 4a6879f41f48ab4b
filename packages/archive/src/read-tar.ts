import { Pax } from 'tar/pax';
import { ArchiveError } from './archive-error.ts';
import { ByteSource } from './byte-source.ts';
import { normaliseEntryPath } from './entry-path.ts';
import { MemberNames } from './member-names.ts';
import { paddingOf, TAR_BLOCK_SIZE, type TarEntry } from './tar-entry.ts';
import { type DecodedHeader, decodeTarHeader, isZeroBlock, type PendingHeaders } from './tar-header.ts';

export interface TarLimits {
  /** Default 2,000,000; names are remembered to refuse duplicates. */
  readonly memberCountMax?: number;
  /** Of one member. Default: none. */
  readonly memberSizeMaxBytes?: number;
  /** Of one extended header or long name. Default 1 MiB. */
  readonly extendedHeaderSizeMaxBytes?: number;
}

export interface ReadTarOptions {
  readonly limits?: TarLimits;
  /** `strip` takes names that begin with `/` as relative to the archive, as WAL-G writes them. Default `refuse`. */
  readonly leadingSlash?: 'refuse' | 'strip';
  /**
   * The stream's chunks, and the buffers that they are cut from in order, are nobody else's: each buffer is freed when its end was
   * read, so that a view of a body is good only until the next one is asked for.
   */
  readonly freesChunks?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const OPERATION = 'read tar';
const MEMBER_COUNT_MAX = 2_000_000;
const EXTENDED_HEADER_SIZE_MAX_BYTES = 1024 * 1024;
/** Extended headers before one member; honest archives have two at most. */
const EXTENDED_HEADER_COUNT_MAX = 8;

const KINDS: Readonly<Record<string, TarEntry['kind'] | undefined>> = {
  File: 'file',
  OldFile: 'file',
  ContiguousFile: 'file',
  Directory: 'directory',
  SymbolicLink: 'link',
};

/**
 * The members of a tar archive (v7, ustar, GNU long names, pax), in order. A body that is not read is skipped when the next member
 * is asked for. An archive has to end in two zero blocks.
 * Throws `ArchiveError`: truncated or damaged input, names that leave the directory or lie below a link, duplicates, hard
 * links and special files, and anything over the limits. Nothing is ever allocated by a length from the input alone.
 */
export async function* readTar(
  stream: AsyncIterable<Uint8Array>,
  options: ReadTarOptions = {},
): AsyncGenerator<TarEntry, void, void> {
  const source = new ByteSource(stream, {
    operation: OPERATION,
    signal: options.signal,
    freesChunks: options.freesChunks ?? false,
  });
  const names = new MemberNames({
    countMax: options.limits?.memberCountMax ?? MEMBER_COUNT_MAX,
    operation: OPERATION,
  });
  const headers = new HeaderReader(source, options.limits ?? {});
  try {
    for (let header = await headers.next(); header !== undefined; header = await headers.next()) {
      const { entry, body } = openMember(
        options.leadingSlash === 'strip' ? withoutSlash(header) : header,
        source,
      );
      if (entry !== undefined) {
        names.add(entry.path, entry.kind);
        yield entry;
      }
      await body.skip();
    }
  } finally {
    await source.close();
  }
}

function withoutSlash(header: DecodedHeader): DecodedHeader {
  return { ...header, path: header.path.replace(/^\/+/, '') || './' };
}

function openMember(
  header: DecodedHeader,
  source: ByteSource,
): { entry: TarEntry | undefined; body: MemberBody } {
  const path = normaliseEntryPath(header.path, OPERATION);
  const kind = KINDS[header.type];
  if (kind === undefined)
    throw invalid('ARCHIVE_UNSUPPORTED', `member ${header.path} is a ${header.type}, which is not supported`);
  const sizeBytes = kind === 'file' ? header.sizeBytes : 0;
  const body = new MemberBody(source, { path: header.path, sizeBytes, storedBytes: header.sizeBytes });
  if (path === undefined && kind !== 'directory')
    throw invalid(
      'ARCHIVE_UNSAFE_PATH',
      `member ${JSON.stringify(header.path)} would replace the directory itself`,
    );
  if (path === undefined) return { entry: undefined, body };
  const common = { kind, path, sizeBytes, mode: header.mode, modifiedAt: header.modifiedAt, body };
  return { entry: kind === 'link' ? { ...common, linkTarget: header.linkTarget } : common, body };
}

/** The bytes of one member; counts them, and takes the padding with the last one. */
class MemberBody implements AsyncIterable<Uint8Array> {
  readonly #source: ByteSource;
  readonly #path: string;
  readonly #sizeBytes: number;
  #remaining: number;
  #padding: number;
  #state: 'unread' | 'reading' | 'passed' = 'unread';

  constructor(
    source: ByteSource,
    member: { readonly path: string; readonly sizeBytes: number; readonly storedBytes: number },
  ) {
    this.#source = source;
    this.#path = member.path;
    this.#sizeBytes = member.sizeBytes;
    this.#remaining = member.storedBytes;
    this.#padding = paddingOf(member.storedBytes);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    if (this.#state !== 'unread')
      throw new Error(`the body of ${this.#path} can be read once, before the next member`);
    this.#state = 'reading';
    if (this.#sizeBytes === 0) return;
    while (this.#remaining > 0) {
      if (this.#passed()) throw new Error(`the body of ${this.#path} was left behind for the next member`);
      yield await this.#take();
    }
  }

  async skip(): Promise<void> {
    this.#state = 'passed';
    while (this.#remaining > 0) await this.#take();
    while (this.#padding > 0) {
      const bytes = await this.#source.take(this.#padding);
      if (bytes === undefined)
        throw this.#source.truncated(`the padding of ${this.#path}`, { expected: this.#padding, found: 0 });
      this.#padding -= bytes.length;
    }
  }

  #passed(): boolean {
    return this.#state === 'passed';
  }

  async #take(): Promise<Uint8Array> {
    const bytes = await this.#source.take(this.#remaining);
    if (bytes === undefined)
      throw this.#source.truncated(`member ${this.#path}`, {
        expected: this.#sizeBytes,
        found: this.#sizeBytes - this.#remaining,
      });
    this.#remaining -= bytes.length;
    return bytes;
  }
}

/** Reads headers up to the end mark, folding extended headers into the member that they describe. */
class HeaderReader {
  readonly #source: ByteSource;
  readonly #limits: TarLimits;
  #global: PendingHeaders['global'];

  constructor(source: ByteSource, limits: TarLimits) {
    this.#source = source;
    this.#limits = limits;
  }

  /** The next member's header; undefined behind the end mark. */
  async next(): Promise<DecodedHeader | undefined> {
    let pending: PendingHeaders = { global: this.#global };
    for (let count = 0; count <= EXTENDED_HEADER_COUNT_MAX; count += 1) {
      const position = this.#source.position;
      const block = await this.#source.takeExactly(TAR_BLOCK_SIZE, 'a header');
      if (block === undefined) throw this.#source.truncated('the end mark', { expected: 1024, found: 0 });
      if (isZeroBlock(block)) {
        await this.#finish(count);
        return undefined;
      }
      const header = decodeTarHeader(block, { position, operation: OPERATION, pending });
      if (!isExtended(header.type)) return this.#checked(header);
      pending = await this.#extend(header, pending);
    }
    throw invalid(
      'ARCHIVE_LIMIT',
      `more than ${EXTENDED_HEADER_COUNT_MAX} extended headers before one member`,
    );
  }

  #checked(header: DecodedHeader): DecodedHeader {
    const max = this.#limits.memberSizeMaxBytes ?? Number.POSITIVE_INFINITY;
    if (header.sizeBytes > max)
      throw invalid('ARCHIVE_LIMIT', `member ${header.path} has ${header.sizeBytes} bytes, more than ${max}`);
    return header;
  }

  async #extend(header: DecodedHeader, pending: PendingHeaders): Promise<PendingHeaders> {
    const max = this.#limits.extendedHeaderSizeMaxBytes ?? EXTENDED_HEADER_SIZE_MAX_BYTES;
    if (header.sizeBytes > max)
      throw invalid('ARCHIVE_LIMIT', `an extended header has ${header.sizeBytes} bytes, more than ${max}`);
    const bytes = await this.#source.takeExactly(header.sizeBytes, 'an extended header');
    const padding = paddingOf(header.sizeBytes);
    if (padding > 0 && (await this.#source.takeExactly(padding, 'an extended header')) === undefined)
      throw this.#source.truncated('an extended header', { expected: padding, found: 0 });
    const text = new TextDecoder().decode(bytes ?? new Uint8Array(0));
    const name = text.replace(/\0.*$/s, '');
    if (header.type === 'NextFileHasLongPath') return { ...pending, local: { ...pending.local, path: name } };
    if (header.type === 'NextFileHasLongLinkpath')
      return { ...pending, local: { ...pending.local, linkpath: name } };
    if (header.type !== 'GlobalExtendedHeader')
      return { ...pending, local: Pax.parse(text, pending.local, false) };
    this.#global = Pax.parse(text, this.#global, true);
    return { ...pending, global: this.#global };
  }

  async #finish(extendedCount: number): Promise<void> {
    if (extendedCount > 0) throw invalid('ARCHIVE_INVALID', 'the archive ends after an extended header');
    const second = await this.#source.takeExactly(TAR_BLOCK_SIZE, 'the end mark');
    if (second === undefined) throw this.#source.truncated('the end mark', { expected: 1024, found: 512 });
    for (
      let bytes: Uint8Array | undefined = second;
      bytes !== undefined;
      bytes = await this.#source.take(65536)
    )
      if (!isZeroBlock(bytes))
        throw invalid('ARCHIVE_INVALID', `data after the end mark, before byte ${this.#source.position}`);
  }
}

function isExtended(type: string): boolean {
  return (
    type === 'ExtendedHeader' ||
    type === 'OldExtendedHeader' ||
    type === 'GlobalExtendedHeader' ||
    type === 'NextFileHasLongPath' ||
    type === 'NextFileHasLongLinkpath'
  );
}

function invalid(
  code: 'ARCHIVE_INVALID' | 'ARCHIVE_UNSUPPORTED' | 'ARCHIVE_LIMIT' | 'ARCHIVE_UNSAFE_PATH',
  what: string,
): ArchiveError {
  return new ArchiveError({ code, operation: OPERATION, message: `${OPERATION}: ${what}` });
}
