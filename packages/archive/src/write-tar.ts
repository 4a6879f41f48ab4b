import { ArchiveError, throwIfAborted } from './archive-error.ts';
import { normaliseEntryPath } from './entry-path.ts';
import { MemberNames } from './member-names.ts';
import { paddingOf, TAR_BLOCK_SIZE, TAR_END_SIZE, type TarMember } from './tar-entry.ts';
import { type EncodableHeader, encodeGnuHeader, TAR_NAME_SIZE } from './tar-header.ts';

export interface WriteTarOptions {
  readonly signal?: AbortSignal | undefined;
}

const OPERATION = 'write tar';
const MEMBER_COUNT_MAX = 2_000_000;
/** Headers and small bodies are gathered to chunks of this size. */
const SLAB_SIZE_BYTES = 1024 * 1024;
/** Bodies' own chunks from this size on are passed on as they are: copying them would cost more than another chunk. */
const PASS_THROUGH_SIZE_BYTES = 128 * 1024;

/**
 * A GNU tar archive as Neon writes `initdb.tar.zst`: names without `./`, directories without a trailing `/`, owner 0:0, mode and
 * time as given or the same for all; so equal members give equal bytes. Chunks belong to the receiver.
 * Throws `ARCHIVE_SIZE_MISMATCH` when a body has another length than announced, `ARCHIVE_DUPLICATE`, `ARCHIVE_UNSAFE_PATH`.
 */
export async function* writeTar(
  members: AsyncIterable<TarMember> | Iterable<TarMember>,
  options: WriteTarOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const slab = new Slab();
  const names = new MemberNames({ countMax: MEMBER_COUNT_MAX, operation: OPERATION });
  for await (const member of members) {
    throwIfAborted(options.signal, OPERATION);
    const path = normaliseEntryPath(member.path, OPERATION);
    if (path === undefined) continue;
    names.add(path, member.kind);
    yield* slab.add(encodeHeaders(member, path));
    if (member.kind !== 'file') continue;
    yield* writeBody(member, slab, options.signal);
    yield* slab.add(new Uint8Array(paddingOf(member.sizeBytes ?? 0)));
  }
  yield* slab.add(new Uint8Array(TAR_END_SIZE));
  yield* slab.flush();
}

async function* writeBody(
  member: TarMember,
  slab: Slab,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  const sizeBytes = member.sizeBytes ?? 0;
  let written = 0;
  for await (const chunk of member.body ?? []) {
    throwIfAborted(signal, OPERATION);
    written += chunk.length;
    if (written > sizeBytes) break;
    yield* slab.add(chunk);
  }
  if (written !== sizeBytes)
    throw new ArchiveError({
      code: 'ARCHIVE_SIZE_MISMATCH',
      operation: OPERATION,
      message: `${OPERATION}: ${member.path} was announced with ${sizeBytes} bytes and has ${written > sizeBytes ? 'more' : written}`,
      context: { path: member.path, expected: sizeBytes, found: written },
    });
}

/** The member's header, preceded by GNU long-name members where a name does not fit. */
function encodeHeaders(member: TarMember, path: string): Uint8Array {
  const text = new TextEncoder();
  const name = text.encode(path);
  const linkName = text.encode(member.kind === 'link' ? (member.linkTarget ?? '') : '');
  const blocks: Uint8Array[] = [];
  if (linkName.length > TAR_NAME_SIZE) blocks.push(longName('K', linkName));
  if (name.length > TAR_NAME_SIZE) blocks.push(longName('L', name));
  blocks.push(
    headerBlock({
      typeFlag: TYPE_FLAGS[member.kind],
      name: name.subarray(0, TAR_NAME_SIZE),
      linkName: linkName.subarray(0, TAR_NAME_SIZE),
      mode: member.mode ?? DEFAULT_MODES[member.kind],
      sizeBytes: member.kind === 'file' ? (member.sizeBytes ?? 0) : 0,
      modifiedAt: Math.floor((member.modifiedAt?.getTime() ?? 0) / 1000),
    }),
  );
  return Buffer.concat(blocks);
}

const TYPE_FLAGS = { file: '0', directory: '5', link: '2' } as const;
const DEFAULT_MODES = { file: 0o644, directory: 0o755, link: 0o777 } as const;

function longName(typeFlag: 'L' | 'K', name: Uint8Array): Uint8Array {
  const sizeBytes = name.length + 1;
  const label = new TextEncoder().encode('././@LongLink');
  const header = {
    typeFlag,
    name: label,
    linkName: new Uint8Array(0),
    mode: 0o644,
    sizeBytes,
    modifiedAt: 0,
  };
  const block = headerBlock(header);
  return Buffer.concat([block, name, new Uint8Array(1 + paddingOf(sizeBytes))]);
}

function headerBlock(header: EncodableHeader): Uint8Array {
  const block = new Uint8Array(TAR_BLOCK_SIZE);
  encodeGnuHeader(header, block);
  return block;
}

/** Gathers small pieces; hands out each full buffer once and starts a new one. */
class Slab {
  #buffer: Uint8Array = Buffer.allocUnsafeSlow(SLAB_SIZE_BYTES);
  #used = 0;

  *add(bytes: Uint8Array): Generator<Uint8Array, void, void> {
    if (bytes.length >= PASS_THROUGH_SIZE_BYTES) {
      yield* this.flush();
      yield bytes;
      return;
    }
    for (let rest = bytes; rest.length > 0; ) {
      const part = rest.subarray(0, SLAB_SIZE_BYTES - this.#used);
      this.#buffer.set(part, this.#used);
      this.#used += part.length;
      rest = rest.subarray(part.length);
      if (this.#used === SLAB_SIZE_BYTES) yield* this.flush();
    }
  }

  *flush(): Generator<Uint8Array, void, void> {
    if (this.#used === 0) return;
    yield this.#buffer.subarray(0, this.#used);
    this.#buffer = Buffer.allocUnsafeSlow(SLAB_SIZE_BYTES);
    this.#used = 0;
  }
}
