import type { RelTag } from '@neon-snapshot/postgres';
import { keyToHex } from './key.ts';
import { parseKey } from './key-kind.ts';

/** A key in words, for messages and dumps. */
export function describeKey(key: Uint8Array): string {
  const parsed = parseKey(key);
  switch (parsed.kind) {
    case 'relation-block':
      return `block ${parsed.blockNumber} of relation ${relationOf(parsed.tag)}`;
    case 'relation-size':
      return `the size of relation ${relationOf(parsed.tag)}`;
    case 'relation-map':
    case 'relation-directory':
      return `the ${parsed.kind.replace('-', ' ')} of database ${parsed.spcNode}/${parsed.dbNode}`;
    case 'slru-block':
      return `page ${parsed.blockNumber} of ${parsed.slru} segment ${parsed.segno.toString(16)}`;
    case 'slru-size':
      return `the size of ${parsed.slru} segment ${parsed.segno.toString(16)}`;
    case 'slru-directory':
      return `the directory of ${parsed.slru}`;
    case 'db-directory':
      return 'the directory of databases';
    case 'control-file':
    case 'checkpoint':
    case 'two-phase-directory':
      return `the ${parsed.kind.replaceAll('-', ' ')}`;
    default:
      return `the ${parsed.kind.replaceAll('-', ' ')} key ${keyToHex(key)}`;
  }
}

function relationOf(tag: RelTag): string {
  return `${tag.spcNode}/${tag.dbNode}/${tag.relNode} fork ${tag.forkNum}`;
}
