import { RESOURCE_MANAGER_INFO_MASK } from '@neon-snapshot/postgres';
import { putAuxFile } from '../aux-files.ts';
import type { MainDataReader } from '../main-data-reader.ts';
import { type Pending, type RecordContext, readMainData } from '../record-context.ts';

const LOGICAL_MESSAGE = 0x00;
/** Neon's Postgres sends the files that a compute cannot keep by messages with this prefix and the file's path. */
const AUX_FILE_PREFIX = 'neon-file:';
/** Bytes of the database and the (padded) transactional flag before the sizes in xl_logical_message. */
const SIZES_OFFSET = 8;

/** LOGICALMSG: aux files. Messages with other prefixes are somebody else's. */
export function ingestLogicalMessage(context: RecordContext): Pending {
  if ((context.decoded.info & RESOURCE_MANAGER_INFO_MASK) !== LOGICAL_MESSAGE) return undefined;
  const main = readMainData(context);
  main.skip(SIZES_OFFSET);
  const prefixSize = readSize(main);
  const messageSize = readSize(main);
  const prefix = readPrefix(main, prefixSize);
  if (prefix?.startsWith(AUX_FILE_PREFIX) !== true) return undefined;
  const content = main.bytes(messageSize);
  return putAuxFile(context.modification, prefix.slice(AUX_FILE_PREFIX.length), content);
}

function readSize(main: MainDataReader): number {
  const size = main.u64();
  return size <= BigInt(main.remaining) ? Number(size) : main.fail(`a message part of ${size} bytes`);
}

/** The prefix without its NUL, or undefined for one that is not UTF-8 and so not an aux file's. */
function readPrefix(main: MainDataReader, size: number): string | undefined {
  if (size === 0) return main.fail('a prefix without its end');
  const bytes = main.bytes(size);
  if (bytes.indexOf(0) !== size - 1) return main.fail('a prefix that does not end where its size says');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, size - 1));
  } catch {
    return undefined;
  }
}
