import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { BLCKSZ, createPageChecksums } from '@neon-snapshot/postgres';
import { type PostgresInstallation, startPostgres } from '@neon-snapshot/postgres-process';

const PAGE_HEADER_BYTES = 24;
const ITEM_BYTES = 4;

/**
 * Exchanges two neighbouring entries of a leaf of an index, and makes the page's checksum right again: the order of the index is wrong,
 * which nothing but a search or amcheck sees. The cluster is stopped, before and afterwards.
 */
export async function swapEntries(of: {
  readonly dataDirectory: string;
  readonly installation: PostgresInstallation;
  readonly index: string;
  readonly block: number;
}): Promise<void> {
  const { dataDirectory, installation, index, block } = of;
  const file = await fileOf({ dataDirectory, installation, index });
  const bytes = await readFile(file);
  const page = bytes.subarray(block * BLCKSZ, (block + 1) * BLCKSZ);
  const second = PAGE_HEADER_BYTES + ITEM_BYTES;
  const [a, b] = [page.readUInt32LE(second), page.readUInt32LE(second + ITEM_BYTES)];
  page.writeUInt32LE(b, second);
  page.writeUInt32LE(a, second + ITEM_BYTES);
  const checksums = createPageChecksums({ pagesMax: 1 });
  checksums.buffer.set(page);
  checksums.stamp(1, block);
  page.set(checksums.buffer.subarray(0, BLCKSZ));
  await writeFile(file, bytes);
}

async function fileOf(of: {
  readonly dataDirectory: string;
  readonly installation: PostgresInstallation;
  readonly index: string;
}): Promise<string> {
  const { dataDirectory, installation, index } = of;
  await using server = await startPostgres({ installation, dataDirectory });
  const [row] = await server.query(`SELECT pg_relation_filepath('${index}') AS path`);
  await server.stop('fast');
  return path.join(dataDirectory, row?.path ?? '');
}
