/**
 * C structures as data: fields with their offsets, little-endian, and the majors that have them.
 * One table serves decoding, encoding and the annotated dump, so that the three can't disagree.
 */
import { type Lsn, lsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';

interface FieldValues {
  readonly u8: number;
  readonly u16: number;
  readonly u32: number;
  readonly i32: number;
  readonly u64: bigint;
  readonly i64: bigint;
  readonly f64: number;
  readonly bool: boolean;
  readonly lsn: Lsn;
  readonly bytes32: Uint8Array;
}

export type FieldType = keyof FieldValues;
export type FieldValue = FieldValues[FieldType];

export const FIELD_WIDTH: Readonly<Record<FieldType, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
  bool: 1,
  lsn: 8,
  bytes32: 32,
};

export interface StructField {
  readonly name: string;
  readonly type: FieldType;
  /** Bytes from the start of the structure. */
  readonly offset: number;
}

/** The object that a layout decodes to. */
export type StructOf<Layout extends readonly StructField[]> = {
  readonly [Field in Layout[number] as Field['name']]: FieldValues[Field['type']];
};

export interface DecodeStructOptions {
  readonly operation: string;
  /** Where the structure starts in `bytes`; 0 when left out. */
  readonly baseOffset?: number;
}

/** Reads every field; throws `POSTGRES_TRUNCATED` past the end and `POSTGRES_INVALID` for a bool other than 0 and 1. */
export function decodeStruct<const Layout extends readonly StructField[]>(
  layout: Layout,
  bytes: Uint8Array,
  options: DecodeStructOptions,
): StructOf<Layout> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const result: Record<string, FieldValue> = {};
  for (const field of layout) {
    const offset = (options.baseOffset ?? 0) + field.offset;
    const end = offset + FIELD_WIDTH[field.type];
    if (end > bytes.length)
      throw truncated(options.operation, { field: field.name, end, size: bytes.length });
    result[field.name] = readField(view, { ...field, offset }, options.operation);
  }
  return result as StructOf<Layout>;
}

/** Writes every field of `values`; bytes between fields are left as they are. */
export function encodeStruct<const Layout extends readonly StructField[]>(
  layout: Layout,
  values: StructOf<Layout>,
  target: { readonly bytes: Uint8Array; readonly baseOffset?: number; readonly operation: string },
): void {
  const { bytes } = target;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Readonly<Record<string, FieldValue | undefined>> = values;
  for (const field of layout) {
    const value = fields[field.name];
    const offset = (target.baseOffset ?? 0) + field.offset;
    if (!fits(field.type, value)) throw outOfRange(target.operation, field, value);
    writeField(view, { type: field.type, offset }, value);
  }
}

function readField(view: DataView, field: StructField, operation: string): FieldValue {
  const { type, offset } = field;
  switch (type) {
    case 'u8':
      return view.getUint8(offset);
    case 'u16':
      return view.getUint16(offset, true);
    case 'u32':
      return view.getUint32(offset, true);
    case 'i32':
      return view.getInt32(offset, true);
    case 'u64':
      return view.getBigUint64(offset, true);
    case 'lsn':
      return lsn(view.getBigUint64(offset, true));
    case 'i64':
      return view.getBigInt64(offset, true);
    case 'f64':
      return view.getFloat64(offset, true);
    case 'bool':
      return readBoolean(view.getUint8(offset), field, operation);
    case 'bytes32':
      return new Uint8Array(view.buffer, view.byteOffset + offset, FIELD_WIDTH.bytes32).slice();
  }
}

function readBoolean(byte: number, field: StructField, operation: string): boolean {
  if (byte <= 1) return byte === 1;
  throw new PostgresFormatError({
    code: 'POSTGRES_INVALID',
    operation,
    message: `${operation}: ${field.name} at offset ${field.offset} is ${byte}; expected 0 or 1`,
    context: { field: field.name, offset: field.offset, found: byte },
  });
}

function writeField(
  view: DataView,
  field: { readonly type: FieldType; readonly offset: number },
  value: FieldValue,
): void {
  const { type, offset } = field;
  if (typeof value === 'bigint') {
    if (type === 'i64') view.setBigInt64(offset, value, true);
    else view.setBigUint64(offset, value, true);
  } else if (typeof value === 'boolean') {
    view.setUint8(offset, value ? 1 : 0);
  } else if (typeof value === 'number') {
    writeNumber(view, field, value);
  } else {
    new Uint8Array(view.buffer, view.byteOffset + offset, FIELD_WIDTH.bytes32).set(value);
  }
}

function writeNumber(
  view: DataView,
  field: { readonly type: FieldType; readonly offset: number },
  value: number,
): void {
  if (field.type === 'u8') view.setUint8(field.offset, value);
  else if (field.type === 'u16') view.setUint16(field.offset, value, true);
  else if (field.type === 'i32') view.setInt32(field.offset, value, true);
  else if (field.type === 'f64') view.setFloat64(field.offset, value, true);
  else view.setUint32(field.offset, value, true);
}

function fits(type: FieldType, value: FieldValue | undefined): value is FieldValue {
  switch (type) {
    case 'bool':
      return typeof value === 'boolean';
    case 'f64':
      return typeof value === 'number';
    case 'bytes32':
      return value instanceof Uint8Array && value.length === FIELD_WIDTH.bytes32;
    case 'u64':
    case 'lsn':
      return typeof value === 'bigint' && BigInt.asUintN(64, value) === value;
    case 'i64':
      return typeof value === 'bigint' && BigInt.asIntN(64, value) === value;
    case 'i32':
      return typeof value === 'number' && (value | 0) === value;
    default:
      return typeof value === 'number' && isUnsigned(value, FIELD_WIDTH[type]);
  }
}

function isUnsigned(value: number, widthBytes: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** (8 * widthBytes);
}

function truncated(
  operation: string,
  context: { readonly field: string; readonly end: number; readonly size: number },
): PostgresFormatError {
  return new PostgresFormatError({
    code: 'POSTGRES_TRUNCATED',
    operation,
    message: `${operation}: ${context.field} ends at byte ${context.end}, but there are only ${context.size} bytes`,
    context,
  });
}

function outOfRange(
  operation: string,
  field: StructField,
  value: FieldValue | undefined,
): PostgresFormatError {
  return new PostgresFormatError({
    code: 'POSTGRES_OUT_OF_RANGE',
    operation,
    message: `${operation}: ${field.name} is ${String(value)}, which is not a ${field.type}`,
    context: { field: field.name, type: field.type },
  });
}
