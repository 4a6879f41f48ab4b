import { assertTablespace } from '../block-references.ts';
import { type Pending, type RecordContext, readMainData } from '../record-context.ts';

/** RELMAP, its one operation (xl_relmap_update): database, tablespace, length, then the whole `pg_filenode.map`. */
export function ingestRelationMap(context: RecordContext): Pending {
  const main = readMainData(context);
  const dbNode = main.u32();
  const spcNode = main.u32();
  assertTablespace(context, spcNode);
  const map = main.bytes(main.count(1));
  return context.relations.putRelationMap(spcNode, dbNode, map);
}
