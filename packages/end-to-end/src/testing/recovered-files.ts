import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { BLCKSZ, parseRelationPath, parseSlruPath } from '@neon-snapshot/postgres';

const FREE_SPACE_MAP = 1;
const VISIBILITY_MAP = 2;
const INIT_FORK = 3;

/**
 * Compares an export with what stock recovery made of the same backup: every relation file, relation map and SLRU segment, but for
 * what Neon's redo is known to do otherwise. That is `pd_checksum`; `pd_lsn` of visibility maps and, where hints are logged (page
 * checksums), of all pages; free space maps; the place of the next multixact, which newer minor releases write ahead; and forks
 * of unlogged relations but `_init`. Returns what differs, in words.
 */
export async function compareWithRecovered(
  of: { readonly recovered: string; readonly exported: string },
  { logsHints }: { readonly logsHints: boolean },
): Promise<string[]> {
  const [wanted, got] = await Promise.all([comparedFiles(of.recovered), comparedFiles(of.exported)]);
  const problems = [...wanted].filter((file) => !got.has(file)).map((file) => `${file} is missing`);
  problems.push(...[...got].filter((file) => !wanted.has(file)).map((file) => `${file} is new`));
  for (const file of [...wanted].filter((each) => got.has(each))) {
    const [theirs, ours] = await Promise.all([
      readFile(path.join(of.recovered, file)),
      readFile(path.join(of.exported, file)),
    ]);
    const problem = difference(file, { theirs, ours, logsHints });
    if (problem !== undefined) problems.push(`${file} ${problem}`);
  }
  return problems;
}

async function comparedFiles(root: string): Promise<Set<string>> {
  const all = await readdir(root, { recursive: true, withFileTypes: true });
  const files = all
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
  const unlogged = new Set(
    files.filter((file) => file.includes('_init')).map((file) => file.split('_init')[0] ?? ''),
  );
  return new Set(
    files.filter((file) => {
      if (file.endsWith('pg_filenode.map') || parseSlruPath(file) !== undefined) return true;
      const tag = parseRelationPath(file)?.tag;
      if (tag === undefined || tag.forkNum === FREE_SPACE_MAP) return false;
      return tag.forkNum === INIT_FORK || !unlogged.has(file.replace(/(_vm)?(\.\d+)?$/, ''));
    }),
  );
}

function difference(
  file: string,
  {
    theirs,
    ours,
    logsHints,
  }: { readonly theirs: Buffer; readonly ours: Buffer; readonly logsHints: boolean },
): string | undefined {
  if (theirs.length !== ours.length) return `has ${ours.length} bytes, not ${theirs.length}`;
  const tag = parseRelationPath(file)?.tag;
  if (tag !== undefined) {
    const masksLsn = logsHints || tag.forkNum === VISIBILITY_MAP;
    for (const pages of [theirs, ours]) {
      for (let at = 0; at < pages.length; at += BLCKSZ) pages.fill(0, masksLsn ? at : at + 8, at + 10);
    }
  }
  const blocks: number[] = [];
  for (let at = 0; at < ours.length; at += BLCKSZ) {
    const [a, b] = [theirs.subarray(at, at + BLCKSZ), ours.subarray(at, at + BLCKSZ)];
    if (Buffer.compare(a, b) !== 0) blocks.push(at / BLCKSZ);
  }
  if (blocks.length === 0) return undefined;
  if (file.startsWith('pg_multixact/offsets/') && lacksOneOffset(theirs, ours)) return undefined;
  const first = (blocks[0] ?? 0) * BLCKSZ;
  const bytes = differingBytes(theirs.subarray(first, first + BLCKSZ), ours.subarray(first, first + BLCKSZ));
  return `differs in ${blocks.length} blocks; in block ${blocks[0]}: ${bytes}`;
}

function differingBytes(theirs: Buffer, ours: Buffer): string {
  const places: string[] = [];
  for (let at = 0; at < theirs.length && places.length < 12; at += 1) {
    if (theirs[at] !== ours[at]) places.push(`${at}: ${theirs[at]} is ${ours[at]}`);
  }
  return places.join(', ');
}

function lacksOneOffset(theirs: Buffer, ours: Buffer): boolean {
  let count = 0;
  for (let at = 0; at < ours.length; at += 4) {
    const [a, b] = [theirs.readUInt32LE(at), ours.readUInt32LE(at)];
    if (a === b) continue;
    if (b !== 0) return false;
    count += 1;
  }
  return count === 1;
}
