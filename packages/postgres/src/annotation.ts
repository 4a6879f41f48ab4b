/** Binary files explained field by field, for people: the output of `neon inspect` and of golden tests. */
import { formatLsn, lsn } from './lsn.ts';
import { decodeStruct, FIELD_WIDTH, type FieldValue, type StructField } from './struct-layout.ts';

/** One decoded field of a file. */
export interface Annotation {
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Bytes that the field takes; 0 for a remark about a place. */
  readonly length: number;
  readonly name: string;
  readonly value: string;
}

export interface AnnotateStructOptions {
  readonly baseOffset?: number;
  /** Put before field names. */
  readonly prefix?: string;
  /** Texts for fields whose plain value says too little; `undefined` keeps the plain one. */
  readonly describe?: (name: string, value: FieldValue) => string | undefined;
}

const HEX_BYTES_MAX = 16;

/** Explains the fields of a structure that lie inside `bytes`; judges nothing. */
export function annotateStruct(
  layout: readonly StructField[],
  bytes: Uint8Array,
  options: AnnotateStructOptions = {},
): Annotation[] {
  const { baseOffset = 0, prefix = '' } = options;
  return layout.flatMap((field) => {
    const offset = baseOffset + field.offset;
    const length = FIELD_WIDTH[field.type];
    if (offset + length > bytes.length) return [];
    // A bool of any other byte than 0 and 1 is shown as the number that it is.
    const type = field.type === 'bool' ? 'u8' : field.type;
    const decoded = decodeStruct([{ ...field, type }], bytes, { operation: 'annotate', baseOffset });
    const value = (decoded as Readonly<Record<string, FieldValue>>)[field.name] ?? 0;
    const text = options.describe?.(field.name, value) ?? formatFieldValue(field, value);
    return [{ offset, length, name: `${prefix}${field.name}`, value: text }];
  });
}

/** One line per annotation: offset in hex, up to 16 bytes in hex, name and value. */
export function* formatAnnotations(bytes: Uint8Array, annotations: Iterable<Annotation>): Generator<string> {
  for (const { offset, length, name, value } of annotations) {
    const shown = bytes.subarray(offset, offset + Math.min(length, HEX_BYTES_MAX));
    const hex = Buffer.from(shown).toString('hex') + (length > HEX_BYTES_MAX ? '…' : '');
    yield `${offset.toString(16).padStart(8, '0')}  ${hex.padEnd(2 * HEX_BYTES_MAX + 1)}  ${name}: ${value}`;
  }
}

/** `0x` and upper-case hex digits. */
export function formatHex(value: number | bigint, digits: number): string {
  return `0x${value.toString(16).toUpperCase().padStart(digits, '0')}`;
}

/** Unix seconds with their UTC time. */
export function formatUnixTime(seconds: bigint): string {
  const date = new Date(Number(seconds) * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : `${seconds} (${date.toISOString()})`;
}

/** Names of the bits that are set: `0x5 (a, c)`. */
export function formatFlags(value: number, names: Readonly<Record<string, number>>): string {
  const set = Object.entries(names).filter(([, bit]) => (value & bit) !== 0);
  return `${formatHex(value, 4)}${set.length === 0 ? '' : ` (${set.map(([name]) => name).join(', ')})`}`;
}

function formatFieldValue(field: StructField, value: FieldValue): string {
  if (field.type === 'lsn' && typeof value === 'bigint') return formatLsn(lsn(value));
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return String(value);
}
