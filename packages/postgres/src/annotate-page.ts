import { type Annotation, formatFlags } from './annotation.ts';
import { formatLsn } from './lsn.ts';
import {
  BLCKSZ,
  decodePageHeader,
  findPageHeaderFault,
  isNewPage,
  PAGE_FLAG,
  PAGE_HEADER_SIZE,
} from './page.ts';
import { pageChecksum } from './page-checksum.ts';
import { PostgresFormatError } from './postgres-format-error.ts';

export interface AnnotatePageOptions {
  /** Where the page starts in its file: added to every offset. */
  readonly baseOffset?: number;
  /** Block number in the relation fork; the checksum is judged only where it is given. */
  readonly blockNumber?: number;
}

const LINE_POINTER_SIZE = 4;
const LINE_POINTER_STATES = ['unused', 'normal', 'redirect', 'dead'];

/** Explains header and line pointers (itemid.h) of a relation page of 8192 bytes, also of a damaged one. */
export function annotatePage(page: Uint8Array, options: AnnotatePageOptions = {}): Annotation[] {
  if (page.length !== BLCKSZ) {
    throw new PostgresFormatError({
      code: 'POSTGRES_TRUNCATED',
      operation: 'annotate page',
      message: `A page has ${BLCKSZ} bytes; found ${page.length}`,
      context: { size: page.length },
    });
  }
  const fields = [...annotateHeader(page, options.blockNumber), ...annotateLinePointers(page)];
  return fields.map((field) => ({ ...field, offset: field.offset + (options.baseOffset ?? 0) }));
}

function annotateHeader(page: Uint8Array, blockNumber: number | undefined): Annotation[] {
  const header = decodePageHeader(page);
  const fault = findPageHeaderFault(page);
  const field = (offset: number, length: number, name: string, value: unknown): Annotation => ({
    offset,
    length,
    name,
    value: String(value),
  });
  return [
    field(0, 8, 'lsn', formatLsn(header.lsn)),
    field(8, 2, 'checksum', describeChecksum(page, header.checksum, blockNumber)),
    field(10, 2, 'flags', formatFlags(header.flags, PAGE_FLAG)),
    field(12, 2, 'lower', header.lower),
    field(14, 2, 'upper', `${header.upper}${isNewPage(page) ? ' (new page)' : ''}`),
    field(16, 2, 'special', header.special),
    field(18, 2, 'sizeAndVersion', `${header.sizeBytes} bytes, layout ${header.layoutVersion}`),
    field(20, 4, 'pruneXid', header.pruneXid),
    ...(fault === undefined ? [] : [field(0, 0, 'fault', fault)]),
  ];
}

function describeChecksum(page: Uint8Array, stored: number, blockNumber: number | undefined): string {
  if (blockNumber === undefined || isNewPage(page)) return String(stored);
  const computed = pageChecksum(page, blockNumber);
  return computed === stored
    ? `${stored} (right)`
    : `${stored} (block ${blockNumber} would have ${computed})`;
}

function annotateLinePointers(page: Uint8Array): Annotation[] {
  const { lower, upper } = decodePageHeader(page);
  if (isNewPage(page) || lower < PAGE_HEADER_SIZE || lower > upper || upper > BLCKSZ) return [];
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const count = Math.floor((lower - PAGE_HEADER_SIZE) / LINE_POINTER_SIZE);
  return Array.from({ length: count }, (_, index) => {
    const offset = PAGE_HEADER_SIZE + index * LINE_POINTER_SIZE;
    const bits = view.getUint32(offset, true);
    const state = LINE_POINTER_STATES[(bits >>> 15) & 3];
    const value = `${state}, offset ${bits & 0x7fff}, length ${bits >>> 17}`;
    return { offset, length: LINE_POINTER_SIZE, name: `linePointer[${index + 1}]`, value };
  });
}
