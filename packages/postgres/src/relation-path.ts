/**
 * Names of relation files: `global/REL`, `base/DB/REL`, `pg_tblspc/SPC/PG_…/DB/REL`, with `_fsm`, `_vm` or
 * `_init` for a fork and `.N` for a segment after the first. Source: relpath.c.
 */
import { PostgresFormatError } from './postgres-format-error.ts';

/** `DEFAULTTABLESPACE_OID` and `GLOBALTABLESPACE_OID` of pg_tablespace.dat. */
export const DEFAULT_TABLESPACE_OID = 1663;
export const GLOBAL_TABLESPACE_OID = 1664;

/** 0 main, 1 free space map, 2 visibility map, 3 init (`ForkNumber` of relpath.h). */
export type ForkNumber = 0 | 1 | 2 | 3;

/** One fork of one relation. `dbNode` is 0 for shared relations (tablespace 1664). All u32. */
export interface RelTag {
  readonly spcNode: number;
  readonly dbNode: number;
  readonly relNode: number;
  readonly forkNum: ForkNumber;
}

export interface RelationFile {
  readonly tag: RelTag;
  /** From 0; the file holds blocks `segno * 131072` and on. */
  readonly segno: number;
}

export interface FormatRelationPathOptions {
  /** `PG_17_202406281`; needed for tablespaces other than 1663 and 1664. */
  readonly tablespaceVersionDirectory?: string;
}

/** A relation has at most 2^32 - 1 blocks. */
const SEGNO_MAX = 32767;
const U32_MAX = 0xffff_ffff;
const FORK_SUFFIX: Readonly<Record<ForkNumber, string>> = { 0: '', 1: '_fsm', 2: '_vm', 3: '_init' };
const FORK_OF_SUFFIX: Readonly<Record<string, ForkNumber>> = { '': 0, _fsm: 1, _vm: 2, _init: 3 };
const RELATION_PATH =
  /^(?:(global)|base\/([1-9]\d{0,9})|pg_tblspc\/([1-9]\d{0,9})\/PG_\d+_\d+\/([1-9]\d{0,9}))\/([1-9]\d{0,9})(_fsm|_vm|_init)?(?:\.([1-9]\d{0,4}))?$/;
const TEMP_RELATION_NAME = /^t\d+_\d+(?:_(?:fsm|vm|init))?(?:\.\d+)?$/;

/** Parses a PGDATA-relative path; `undefined` for every file that is not a permanent relation's. */
export function parseRelationPath(path: string): RelationFile | undefined {
  const match = RELATION_PATH.exec(path);
  if (match === null) return undefined;
  const [, global, baseDb, spc, spcDb, rel, suffix, segment] = match;
  const spcNode = global === undefined ? Number(spc ?? DEFAULT_TABLESPACE_OID) : GLOBAL_TABLESPACE_OID;
  const dbNode = Number(baseDb ?? spcDb ?? 0);
  const relNode = Number(rel);
  const forkNum = FORK_OF_SUFFIX[suffix ?? ''];
  const segno = Number(segment ?? 0);
  if (forkNum === undefined || segno > SEGNO_MAX) return undefined;
  if (spcNode > U32_MAX || dbNode > U32_MAX || relNode > U32_MAX) return undefined;
  return { tag: { spcNode, dbNode, relNode, forkNum }, segno };
}

/** The PGDATA-relative path of a segment; the inverse of {@link parseRelationPath}. */
export function formatRelationPath(
  tag: RelTag,
  segno: number,
  options: FormatRelationPathOptions = {},
): string {
  assertRelTag(tag, segno);
  const name = `${tag.relNode}${FORK_SUFFIX[tag.forkNum]}${segno === 0 ? '' : `.${segno}`}`;
  if (tag.spcNode === GLOBAL_TABLESPACE_OID) return `global/${name}`;
  if (tag.spcNode === DEFAULT_TABLESPACE_OID) return `base/${tag.dbNode}/${name}`;
  if (options.tablespaceVersionDirectory === undefined) {
    throw outOfRange(`tablespace ${tag.spcNode} needs a tablespaceVersionDirectory`, tag);
  }
  return `pg_tblspc/${tag.spcNode}/${options.tablespaceVersionDirectory}/${tag.dbNode}/${name}`;
}

/** True for the file name of a temporary relation: `t3_16408`, `t3_16408_fsm.1`. */
export function isTempRelationName(name: string): boolean {
  return TEMP_RELATION_NAME.test(name);
}

/** Orders by tablespace, database, relfilenode, fork, as Neon's keys do. */
export function compareRelTags(a: RelTag, b: RelTag): number {
  return a.spcNode - b.spcNode || a.dbNode - b.dbNode || a.relNode - b.relNode || a.forkNum - b.forkNum;
}

function assertRelTag(tag: RelTag, segno: number): void {
  const isOid = (value: number) => Number.isInteger(value) && value > 0 && value <= U32_MAX;
  const isGlobal = tag.spcNode === GLOBAL_TABLESPACE_OID;
  if (!isOid(tag.spcNode) || !isOid(tag.relNode) || !(isGlobal ? tag.dbNode === 0 : isOid(tag.dbNode))) {
    throw outOfRange('tablespace, database and relfilenode have to be u32 other than 0', tag);
  }
  if (!Number.isInteger(segno) || segno < 0 || segno > SEGNO_MAX) {
    throw outOfRange(`segment ${segno} is outside 0..${SEGNO_MAX}`, tag);
  }
}

function outOfRange(problem: string, tag: RelTag): PostgresFormatError {
  const { spcNode, dbNode, relNode, forkNum } = tag;
  return new PostgresFormatError({
    code: 'POSTGRES_OUT_OF_RANGE',
    operation: 'format relation path',
    message: `Relation ${spcNode}/${dbNode}/${relNode} fork ${forkNum}: ${problem}`,
    context: { spcNode, dbNode, relNode, forkNum },
  });
}
