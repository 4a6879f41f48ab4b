import { formatRelationPath, parseRelationPath, type RelTag } from '@neon-snapshot/postgres';
import { usageError } from '../cli-error.ts';

const FORKS = ['main', 'fsm', 'vm', 'init'] as const;
const TRIPLE = /^(\d{1,10})\/(\d{1,10})\/(\d{1,10})(?:[._](main|fsm|vm|init))?$/;
const U32_MAX = 0xffff_ffff;

/**
 * A relation fork as people write it: `base/5/16384`, `global/1262_vm`, or tablespace, database and relfilenode as in
 * `1663/5/16384` or `1663/5/16384.vm`. Throws `CLI_USAGE`.
 */
export function parseRelationName(text: string): RelTag {
  const file = parseRelationPath(text.replace(/^.*?(?=(?:base|global|pg_tblspc)\/)/, ''));
  if (file !== undefined && file.segno > 0)
    throw usageError(
      `${text} is a segment; name the relation, whose blocks are numbered through all of them`,
    );
  const tag = file?.tag ?? parseTriple(text);
  if (tag !== undefined) return tag;
  throw usageError(
    `${text} names no relation; write a path such as base/5/16384 or base/5/16384_vm, or tablespace, database and relfilenode such as 1663/5/16384`,
  );
}

/** `base/5/16384_vm`; of a relation in a tablespace of its own `16400/5/16384.vm`. */
export function relationName(tag: RelTag): string {
  const { spcNode, dbNode, relNode, forkNum } = tag;
  if (spcNode === 1663 || spcNode === 1664) return formatRelationPath(tag, 0);
  return `${spcNode}/${dbNode}/${relNode}${forkNum === 0 ? '' : `.${FORKS[forkNum]}`}`;
}

function parseTriple(text: string): RelTag | undefined {
  const [, spcNode = 0, dbNode = 0, relNode = 0, fork = 'main'] = TRIPLE.exec(text) ?? [];
  const tag = { spcNode: Number(spcNode), dbNode: Number(dbNode), relNode: Number(relNode) };
  const isValid = tag.spcNode > 0 && tag.relNode > 0 && Object.values(tag).every((oid) => oid <= U32_MAX);
  if (!isValid) return undefined;
  const forkNum = fork === 'fsm' ? 1 : fork === 'vm' ? 2 : fork === 'init' ? 3 : 0;
  return { ...tag, forkNum };
}
