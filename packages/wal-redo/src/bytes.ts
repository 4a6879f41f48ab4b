/** Little-endian access to pages and records. Nothing is read or written outside the bytes: a bad place is a RedoFault. */
import { invalidPage } from './redo-fault.ts';

/**
 * The bytes of a page or record: `length` of them from `start` on of `array`, and a view of that array. By the view a number is
 * read five times as fast as put together from its bytes (measured), and a routine is compiled in half the time.
 */
export class Bytes {
  array: Uint8Array;
  view: DataView;
  start = 0;
  readonly length: number;

  constructor(array: Uint8Array, view = new DataView(array.buffer, array.byteOffset, array.length)) {
    this.array = array;
    this.view = view;
    this.length = array.length;
  }
}

/** Bytes that lie elsewhere at each use: many pages of one array need no object and no view of their own. */
export function moveWindow(
  window: Bytes,
  to: { readonly array: Uint8Array; readonly view: DataView },
  start: number,
): void {
  if (window.array !== to.array) {
    window.array = to.array;
    window.view = to.view;
  }
  window.start = start;
}

/** The bytes as an array of their own length, not copied. */
export function arrayOf({ array, start, length }: Bytes): Uint8Array {
  return array.subarray(start, start + length);
}

/** Zeros. */
export function newBytes(length: number): Bytes {
  return new Bytes(new Uint8Array(length));
}

/** Bytes that lie inside others. */
export interface ByteRange {
  readonly bytes: Bytes;
  readonly start: number;
  readonly length: number;
}

export function u8(bytes: Bytes, at: number): number {
  if (at < 0 || at > bytes.length - 1) throw outside(at, 1);
  return bytes.view.getUint8(bytes.start + at);
}

export function u16(bytes: Bytes, at: number): number {
  if (at < 0 || at > bytes.length - 2) throw outside(at, 2);
  return bytes.view.getUint16(bytes.start + at, true);
}

export function u32(bytes: Bytes, at: number): number {
  if (at < 0 || at > bytes.length - 4) throw outside(at, 4);
  return bytes.view.getUint32(bytes.start + at, true);
}

export function setU8(bytes: Bytes, at: number, value: number): void {
  if (at < 0 || at > bytes.length - 1) throw outside(at, 1);
  bytes.view.setUint8(bytes.start + at, value);
}

export function setU16(bytes: Bytes, at: number, value: number): void {
  if (at < 0 || at > bytes.length - 2) throw outside(at, 2);
  bytes.view.setUint16(bytes.start + at, value, true);
}

export function setU32(bytes: Bytes, at: number, value: number): void {
  if (at < 0 || at > bytes.length - 4) throw outside(at, 4);
  bytes.view.setUint32(bytes.start + at, value, true);
}

export function f64(bytes: Bytes, at: number): number {
  assertInside(bytes, at, 8);
  return bytes.view.getFloat64(bytes.start + at, true);
}

export function setF64(bytes: Bytes, at: number, value: number): void {
  assertInside(bytes, at, 8);
  bytes.view.setFloat64(bytes.start + at, value, true);
}

/** Up to here a loop over numbers beats the call of `set` on a new array (about 40 ns, and work for the collector). */
const SHORT_COPY_MAX = 96;

/** `memmove`: `length` bytes from `source` at `from` to `target` at `to`; both may be the same bytes. */
export function copyBytes(target: Bytes, to: number, source: Bytes, from: number, length: number): void {
  assertInside(target, to, length);
  assertInside(source, from, length);
  const first = source.start + from;
  const place = target.start + to;
  if (target === source) target.array.copyWithin(place, first, first + length);
  else if (length <= SHORT_COPY_MAX) copyShort(target.view, place, source.view, first, length);
  else target.array.set(source.array.subarray(first, first + length), place);
}

function copyShort(target: DataView, to: number, source: DataView, from: number, length: number): void {
  let index = 0;
  for (const last = length - 4; index <= last; index += 4) {
    target.setInt32(to + index, source.getInt32(from + index, true), true);
  }
  for (; index < length; index++) target.setUint8(to + index, source.getUint8(from + index));
}

export function copyOfBytes(bytes: Bytes, start: number, end: number): Bytes {
  const copy = newBytes(Math.max(0, end - start));
  copyBytes(copy, 0, bytes, start, copy.length);
  return copy;
}

/** `memmove` inside a page. */
export function moveBytes(page: Bytes, to: number, from: number, length: number): void {
  assertInside(page, to, length);
  assertInside(page, from, length);
  const first = page.start + from;
  page.array.copyWithin(page.start + to, first, first + length);
}

export function fillBytes(bytes: Bytes, value: number, start: number, end: number): void {
  assertInside(bytes, start, end - start);
  bytes.array.fill(value, bytes.start + start, bytes.start + end);
}

/** `MAXALIGN` */
export function align8(value: number): number {
  return (value + 7) & ~7;
}

/** `SHORTALIGN` */
export function align2(value: number): number {
  return (value + 1) & ~1;
}

function assertInside(bytes: Bytes, at: number, length: number): void {
  if (at < 0 || length < 0 || at + length > bytes.length) throw outside(at, length);
}

function outside(at: number, length: number): Error {
  return invalidPage(`${length} bytes at offset ${at} are outside the page or record`);
}
