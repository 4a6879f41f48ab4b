/**
 * Compares a full backup with a data directory, file by file: relation forks, relation maps and SLRU segments.
 * In relation files the two bytes of each page's checksum (pd_checksum, at 8) are ignored: a page server keeps none valid.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { TarFile, type TarMember } from './tar-file.ts';

const PAGE_BYTES = 8192;
const CHUNK_BYTES = 128 * PAGE_BYTES;
const PD_CHECKSUM_OFFSET = 8;

const KINDS = {
  relation: /^(?:global|base\/\d+)\/\d+(?:_(?:fsm|vm|init))?(?:\.\d+)?$/,
  relmap: /^(?:global|base\/\d+)\/pg_filenode\.map$/,
  slru: /^(?:pg_xact|pg_multixact\/members|pg_multixact\/offsets)\/[0-9A-F]+$/,
} as const;

type Kind = keyof typeof KINDS;

export type Comparison = {
  readonly equal: Readonly<Record<Kind, number>>;
  /** One line for each file that is not the same in both. */
  readonly differences: readonly string[];
};

export type CompareOptions = { readonly backup: string; readonly expected: string };

export function compareBackup({ backup, expected }: CompareOptions): Comparison {
  const tar = TarFile.open(backup);
  try {
    return compareFiles(tar, expected);
  } finally {
    tar.close();
  }
}

function compareFiles(tar: TarFile, expected: string): Comparison {
  const members = new Map(
    tar.members.filter((member) => member.type !== '5').map((member) => [member.name, member]),
  );
  const names = new Set([...members.keys(), ...listFiles(expected)]);
  const equal = { relation: 0, relmap: 0, slru: 0 };
  const differences: string[] = [];
  for (const name of [...names].sort()) {
    const kind = kindOf(name);
    if (kind === undefined) continue;
    const difference = compareFile({ tar, member: members.get(name), path: join(expected, name), kind });
    if (difference === undefined) equal[kind] += 1;
    else differences.push(`${name}: ${difference}`);
  }
  return { equal, differences };
}

function kindOf(name: string): Kind | undefined {
  return (Object.keys(KINDS) as Kind[]).find((kind) => KINDS[kind].test(name));
}

/** Only the directories that hold compared files are walked, since others may be large or absent. */
function listFiles(root: string): string[] {
  const below = (folder: string) =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => `${folder}/${entry.name}`);
  const databases = readdirSync(join(root, 'base')).map((name) => `base/${name}`);
  return ['global', 'pg_xact', 'pg_multixact/members', 'pg_multixact/offsets', ...databases].flatMap(below);
}

type FilePair = {
  readonly tar: TarFile;
  readonly member: TarMember | undefined;
  readonly path: string;
  readonly kind: Kind;
};

/** What differs, or undefined when nothing does. */
function compareFile({ tar, member, path, kind }: FilePair): string | undefined {
  if (member === undefined) return `only in the data directory, ${statSync(path).size} bytes`;
  if (statSync(path, { throwIfNoEntry: false }) === undefined)
    return `only in the backup, ${member.sizeBytes} bytes`;
  const fd = openSync(path, 'r');
  try {
    const sizeBytes = fstatSync(fd).size;
    if (sizeBytes !== member.sizeBytes)
      return `${member.sizeBytes} bytes in the backup, ${sizeBytes} in the data directory`;
    return comparePages({ tar, member, fd, ignoreChecksums: kind === 'relation' });
  } finally {
    closeSync(fd);
  }
}

type PagePair = {
  readonly tar: TarFile;
  readonly member: TarMember;
  readonly fd: number;
  readonly ignoreChecksums: boolean;
};

function comparePages({ tar, member, fd, ignoreChecksums }: PagePair): string | undefined {
  const left = Buffer.alloc(CHUNK_BYTES);
  const right = Buffer.alloc(CHUNK_BYTES);
  const blocks: number[] = [];
  let first = '';
  for (let done = 0; done < member.sizeBytes; done += CHUNK_BYTES) {
    const length = Math.min(CHUNK_BYTES, member.sizeBytes - done);
    readSync(tar.fd, left, 0, length, member.offset + done);
    readSync(fd, right, 0, length, done);
    for (let page = 0; page < length; page += PAGE_BYTES) {
      const end = Math.min(page + PAGE_BYTES, length);
      if (ignoreChecksums && end - page === PAGE_BYTES) {
        left.writeUInt16LE(0, page + PD_CHECKSUM_OFFSET);
        right.writeUInt16LE(0, page + PD_CHECKSUM_OFFSET);
      }
      if (left.compare(right, page, end, page, end) === 0) continue;
      if (blocks.length === 0) first = firstDifference(left.subarray(page, end), right.subarray(page, end));
      blocks.push((done + page) / PAGE_BYTES);
    }
  }
  if (blocks.length === 0) return undefined;
  const total = Math.ceil(member.sizeBytes / PAGE_BYTES);
  return `${blocks.length} of ${total} blocks differ, the first is ${blocks[0]} (${first})`;
}

/** The first differing run of a page, as `at OFFSET: HEX in the backup, HEX expected`. */
function firstDifference(left: Buffer, right: Buffer): string {
  const at = left.findIndex((byte, index) => byte !== right[index]);
  const hex = (page: Buffer) => page.toString('hex', at, Math.min(at + 8, page.length));
  return `at ${at}: ${hex(left)} in the backup, ${hex(right)} in the data directory`;
}
