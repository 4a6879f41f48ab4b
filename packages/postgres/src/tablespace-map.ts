/** `tablespace_map` (xlogbackup.c): a line `OID PATH` per tablespace; line breaks and backslashes of a path are escaped. */
import { PostgresFormatError } from './postgres-format-error.ts';

export interface TablespaceMapEntry {
  readonly oid: number;
  /** Directory on the machine that recovers; recovery links `pg_tblspc/OID` to it. */
  readonly path: string;
}

export const TABLESPACE_MAP_SIZE_MAX = 16 * 1024 * 1024;
const OID = /^[1-9]\d{0,9}$/;

/** Decodes UTF-8 text; an empty file is no tablespaces. Throws `POSTGRES_INVALID`, or `POSTGRES_TRUNCATED` for an unended line. */
export function decodeTablespaceMap(bytes: Uint8Array): TablespaceMapEntry[] {
  const operation = 'decode tablespace_map';
  if (bytes.length > TABLESPACE_MAP_SIZE_MAX) {
    throw fault('POSTGRES_OUT_OF_RANGE', operation, `more than ${TABLESPACE_MAP_SIZE_MAX} bytes`);
  }
  const text = new TextDecoder().decode(bytes);
  const lines: string[] = [];
  let line = '';
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === '\\') line += text[++index] ?? '';
    else if (character === '\n') {
      lines.push(line);
      line = '';
    } else line += character;
  }
  if (line !== '' || text.endsWith('\\'))
    throw fault('POSTGRES_TRUNCATED', operation, 'the last line has no end');
  return lines.map((entry) => parseLine(entry, operation));
}

/** Encodes in the given order; throws `POSTGRES_OUT_OF_RANGE` for a bad OID or an empty path. */
export function encodeTablespaceMap(entries: readonly TablespaceMapEntry[]): Uint8Array {
  const operation = 'encode tablespace_map';
  const lines = entries.map(({ oid, path }) => {
    if (!OID.test(String(oid)) || oid > 0xffff_ffff || path === '' || path.includes('\0')) {
      throw fault('POSTGRES_OUT_OF_RANGE', operation, `OID ${oid} with path ${JSON.stringify(path)}`);
    }
    return `${oid} ${path.replace(/[\n\r\\]/g, (character) => `\\${character}`)}\n`;
  });
  return new TextEncoder().encode(lines.join(''));
}

function parseLine(line: string, operation: string): TablespaceMapEntry {
  const space = line.indexOf(' ');
  const oid = line.slice(0, Math.max(space, 0));
  const path = line.slice(space + 1);
  if (!OID.test(oid) || Number(oid) > 0xffff_ffff || path === '') {
    throw fault('POSTGRES_INVALID', operation, `expected "OID PATH", found ${JSON.stringify(line)}`);
  }
  return { oid: Number(oid), path };
}

function fault(
  code: 'POSTGRES_INVALID' | 'POSTGRES_OUT_OF_RANGE' | 'POSTGRES_TRUNCATED',
  operation: string,
  problem: string,
): PostgresFormatError {
  return new PostgresFormatError({ code, operation, message: `tablespace_map: ${problem}` });
}
