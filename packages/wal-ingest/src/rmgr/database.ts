import { relBlockKey, relMapKey } from '@neon-snapshot/neon-layer';
import { RESOURCE_MANAGER_INFO_MASK, type RelTag } from '@neon-snapshot/postgres';
import { assertTablespace } from '../block-references.ts';
import type { MainDataReader } from '../main-data-reader.ts';
import { failRecord, type Pending, type RecordContext, readMainData } from '../record-context.ts';

/** dbcommands_xlog.h; 15 made room for databases whose pages come by records of their own. */
const OPERATIONS_14 = { copyFiles: 0x00, drop: 0x10 };
const OPERATIONS = { copyFiles: 0x00, drop: 0x20 };
const WAL_LOGGED_COPY_SINCE_MAJOR = 15;
/** Pages of the source that are in memory at a time. */
const COPY_PAGES_MAX = 256;

/** DBASE: databases copied file by file, and dropped. One that is copied by WAL comes by its own records. */
export function ingestDatabase(context: RecordContext): Pending {
  const operations = context.major < WAL_LOGGED_COPY_SINCE_MAJOR ? OPERATIONS_14 : OPERATIONS;
  switch (context.decoded.info & RESOURCE_MANAGER_INFO_MASK) {
    case operations.copyFiles:
      return copyFiles(context, readMainData(context));
    case operations.drop:
      return drop(context, readMainData(context));
    default:
      return undefined;
  }
}

/** xl_dbase_create(_file_copy)_rec: database, tablespace, then the same of its source. */
async function copyFiles(context: RecordContext, main: MainDataReader): Promise<void> {
  const target = { dbNode: main.u32(), spcNode: main.u32() };
  const source = { dbNode: main.u32(), spcNode: main.u32() };
  assertTablespace(context, target.spcNode);
  if (target.dbNode === source.dbNode) failRecord(context, `database ${target.dbNode} is its own source`);
  const { relations, modification } = context;
  const forks = await relations.list(source.spcNode, source.dbNode);
  const map = await modification.get(relMapKey(source.spcNode, source.dbNode));
  await relations.putRelationMap(target.spcNode, target.dbNode, map);
  for (const fork of forks) {
    const size = (await relations.findSize(fork)) ?? 0;
    const copy = { ...fork, ...target };
    await relations.create(copy, size);
    await copyBlocks(context, { fork, copy, size });
  }
}

interface BlockCopy {
  readonly fork: RelTag;
  readonly copy: RelTag;
  readonly size: number;
}

async function copyBlocks({ modification }: RecordContext, { fork, copy, size }: BlockCopy): Promise<void> {
  for (let start = 0; start < size; start += COPY_PAGES_MAX) {
    const count = Math.min(COPY_PAGES_MAX, size - start);
    const pages = await modification.getMany(
      Array.from({ length: count }, (_, i) => relBlockKey(fork, start + i)),
    );
    pages.forEach((page, i) => {
      modification.putImage(relBlockKey(copy, start + i), page);
    });
    await modification.relieve();
  }
}

/** xl_dbase_drop_rec: database, then the tablespaces that it has files in. */
function drop(context: RecordContext, main: MainDataReader): Promise<void> {
  const dbNode = main.u32();
  const tablespaces = Array.from({ length: main.count(4) }, () => main.u32());
  return context.relations.dropDatabases(tablespaces.map((spcNode) => ({ spcNode, dbNode })));
}
