import { open, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { BLCKSZ, parseRelationPath, parseSlruPath } from '@neon-snapshot/postgres';

/** `pd_checksum` of a page header: bytes 8 and 9. */
const CHECKSUM_OFFSET = 8;
/** `pd_flags` is a u16 at 10; Neon once kept a flag of its own in this bit, which an export clears. */
const FLAGS_OFFSET = 10;
const WAL_LOGGED_FLAG = 0x08;
const CHUNK_BYTES = 256 * BLCKSZ;

export interface CompareOptions {
  /**
   * One side was made from WAL by Neon's rules: free space maps are not kept, visibility map pages have another `pd_lsn`, and
   * `pg_multixact/offsets` lacks the entry of the next multixact, which newer minors write too.
   */
  readonly fromWal?: boolean;
}

/**
 * Compares every relation file, relation map and SLRU segment of two stopped clusters. `pd_checksum` and the one documented flag are
 * left out of account; forks of unlogged relations other than `_init` too. Returns what differs, in words.
 */
export async function compareRelationFiles(
  expected: string,
  found: string,
  { fromWal = false }: CompareOptions = {},
): Promise<string[]> {
  const files = await Promise.all([comparedFiles(expected), comparedFiles(found)]);
  const [wanted, got] = files.map((each) => (fromWal ? withoutUnkept(each) : each)) as [
    Set<string>,
    Set<string>,
  ];
  const problems = [...wanted].filter((file) => !got.has(file)).map((file) => `${file} is missing`);
  problems.push(...[...got].filter((file) => !wanted.has(file)).map((file) => `${file} is new`));
  for (const file of wanted) {
    if (got.has(file) && !(await equalFiles(path.join(expected, file), path.join(found, file), { fromWal })))
      problems.push(`${file} differs`);
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
      const relation = parseRelationPath(file);
      if (relation === undefined) return false;
      return relation.tag.forkNum === 3 || !unlogged.has(file.replace(/(_fsm|_vm)?(\.\d+)?$/, ''));
    }),
  );
}

function withoutUnkept(files: Set<string>): Set<string> {
  return new Set([...files].filter((file) => !/_fsm(\.\d+)?$|^pg_multixact\/offsets/.test(file)));
}

async function equalFiles(
  a: string,
  b: string,
  { fromWal }: { readonly fromWal: boolean },
): Promise<boolean> {
  if (a.endsWith('.map')) return (await readFile(a)).equals(await readFile(b));
  await using first = await open(a);
  await using second = await open(b);
  if ((await first.stat()).size !== (await second.stat()).size) return false;
  const buffers = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)] as const;
  const hasOtherLsn = fromWal && /_vm(\.\d+)?$/.test(a);
  const isPages = !a.includes('/pg_xact/') && !a.includes('/pg_multixact/');
  for (let position = 0; ; position += CHUNK_BYTES) {
    const { bytesRead } = await first.read(buffers[0], 0, CHUNK_BYTES, position);
    await second.read(buffers[1], 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return true;
    if (isPages) for (const buffer of buffers) maskPages(buffer.subarray(0, bytesRead), hasOtherLsn);
    if (Buffer.compare(buffers[0].subarray(0, bytesRead), buffers[1].subarray(0, bytesRead)) !== 0)
      return false;
  }
}

function maskPages(pages: Buffer, hasOtherLsn: boolean): void {
  for (let start = 0; start < pages.length; start += BLCKSZ) {
    if (hasOtherLsn) pages.fill(0, start, start + CHECKSUM_OFFSET);
    pages.writeUInt16LE(0, start + CHECKSUM_OFFSET);
    pages.writeUInt8(pages.readUInt8(start + FLAGS_OFFSET) & ~WAL_LOGGED_FLAG, start + FLAGS_OFFSET);
  }
}
