import { Header } from 'tar/header';
import { Pax } from 'tar/pax';
import { TAR_BLOCK_SIZE } from './tar-entry.ts';

/** One member as a POSIX header describes it. */
export interface UstarMember {
  readonly kind: 'file' | 'directory' | 'link';
  /** Relative, `/` separated, without a trailing `/`. */
  readonly path: string;
  /** Of a file. */
  readonly sizeBytes?: number;
  readonly linkTarget?: string;
  /** Permission bits. */
  readonly mode: number;
  /** Whole seconds are kept. */
  readonly modifiedAt: Date;
  /** Name of owner and group. */
  readonly owner: string;
}

const TYPES = { file: 'File', directory: 'Directory', link: 'SymbolicLink' } as const;

/**
 * The header blocks of a member as Postgres' servers write them (POSIX ustar; directories end in `/`), preceded by a pax header
 * where a name or a size does not fit.
 */
export function encodeUstarHeader(member: UstarMember): Uint8Array {
  const { kind, mode, modifiedAt, owner } = member;
  const data = {
    type: TYPES[kind],
    path: kind === 'directory' ? `${member.path}/` : member.path,
    size: kind === 'file' ? (member.sizeBytes ?? 0) : 0,
    linkpath: kind === 'link' ? (member.linkTarget ?? '') : '',
    mode,
    mtime: new Date(Math.floor(modifiedAt.getTime() / 1000) * 1000),
    uid: 0,
    gid: 0,
    uname: owner,
    gname: owner,
  };
  const block = Buffer.alloc(TAR_BLOCK_SIZE);
  const isCut = new Header(data).encode(block);
  if (!isCut && Buffer.byteLength(data.linkpath) <= LINK_SIZE_MAX) return block;
  return Buffer.concat([new Pax(data).encode(), block]);
}

const LINK_SIZE_MAX = 99;
