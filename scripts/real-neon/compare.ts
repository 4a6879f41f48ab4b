/**
 * Compares a full backup with a data directory, file by file: relation forks, relation maps and SLRU segments.
 * In relation files the two bytes of each page's checksum (pd_checksum, at 8) are ignored: a page server keeps none valid.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { TarFile, type TarMember } from './tar-file.ts';

const PAGE_BYTES = 8192;
const CHUNK_BYTES = 128 * PAGE_BYTES;

type ByteRange = { readonly start: number; readonly end: number };

/** Fields of PageHeaderData. */
const PD_LSN: ByteRange = { start: 0, end: 8 };
const PD_CHECKSUM: ByteRange = { start: 8, end: 10 };

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

export type CompareOptions = {
  readonly backup: string;
  readonly expected: string;
  /**
   * The directory is what Postgres' own recovery left. A page server keeps no free space maps, stamps other LSNs on visibility
   * maps; neither counts as different. It also lacks the offset of the next multixact, which does count.
   */
  readonly isRecovered?: boolean;
};

export function compareBackup({ backup, expected, isRecovered = false }: CompareOptions): Comparison {
  const tar = TarFile.open(backup);
  try {
    return compareFiles(tar, expected, isRecovered);
  } finally {
    tar.close();
  }
}

function compareFiles(tar: TarFile, expected: string, isRecovered: boolean): Comparison {
  const members = new Map(
    tar.members.filter((member) => member.type !== '5').map((member) => [member.name, member]),
  );
  const names = new Set([...members.keys(), ...listFiles(expected)]);
  const equal = { relation: 0, relmap: 0, slru: 0 };
  const differences: string[] = [];
  for (const name of [...names].sort()) {
    const kind = kindOf(name);
    if (kind === undefined || (isRecovered && /_fsm(?:\.\d+)?$/.test(name))) continue;
    const ignored = ignoredIn(name, kind, isRecovered);
    const difference = compareFile({ tar, member: members.get(name), path: join(expected, name), ignored });
    if (difference === undefined) equal[kind] += 1;
    else differences.push(`${name}: ${difference}`);
  }
  return { equal, differences };
}

function kindOf(name: string): Kind | undefined {
  return (Object.keys(KINDS) as Kind[]).find((kind) => KINDS[kind].test(name));
}

/** Bytes of each page that may differ. */
function ignoredIn(name: string, kind: Kind, isRecovered: boolean): readonly ByteRange[] {
  if (kind !== 'relation') return [];
  return isRecovered && /_vm(?:\.\d+)?$/.test(name) ? [PD_LSN, PD_CHECKSUM] : [PD_CHECKSUM];
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
  readonly ignored: readonly ByteRange[];
};

/** What differs, or undefined when nothing does. */
function compareFile({ tar, member, path, ignored }: FilePair): string | undefined {
  if (member === undefined) return `only in the data directory, ${statSync(path).size} bytes`;
  if (statSync(path, { throwIfNoEntry: false }) === undefined)
    return `only in the backup, ${member.sizeBytes} bytes`;
  const fd = openSync(path, 'r');
  try {
    const sizeBytes = fstatSync(fd).size;
    if (sizeBytes !== member.sizeBytes)
      return `${member.sizeBytes} bytes in the backup, ${sizeBytes} in the data directory`;
    return comparePages({ tar, member, fd, ignored });
  } finally {
    closeSync(fd);
  }
}

type PagePair = {
  readonly tar: TarFile;
  readonly member: TarMember;
  readonly fd: number;
  readonly ignored: readonly ByteRange[];
};

function comparePages({ tar, member, fd, ignored }: PagePair): string | undefined {
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
      if (end - page === PAGE_BYTES) {
        for (const { start, end: stop } of ignored) {
          left.fill(0, page + start, page + stop);
          right.fill(0, page + start, page + stop);
        }
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
