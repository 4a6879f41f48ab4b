/**
 * Messages of a pagestream (Neon's libs/pageserver_api/src/pagestream_api.rs), all big-endian.
 *
 * Request: u8 tag; version 3: u64 request id; u64 request LSN (all ones: the latest); u64 not-modified-since; then
 * 0 exists, 1 nblocks: spc u32, db u32, rel u32, fork u8. 2 getpage: the same, block u32. 3 dbsize: db u32.
 * 4 SLRU segment: kind u8, segno u32.
 *
 * Response: u8 tag; version 3: all of the request behind its tag; then 100 exists: u8. 101 nblocks: u32.
 * 102 getpage: 8192 bytes. 104 dbsize: i64. 105 SLRU segment: u32 blocks, their bytes.
 * 103 error: version 3: id and LSNs of the request; text, NUL.
 */
import { SLRU_KINDS } from '@neon-snapshot/neon-layer';
import { BLCKSZ, type ForkNumber, type Lsn, lsn, type RelTag, type SlruKind } from '@neon-snapshot/postgres';
import { PageServerError } from '../page-server-error.ts';

export type PagestreamVersion = 2 | 3;

export type PagestreamRequest = {
  /** All ones: the latest. */
  readonly requestLsn: Lsn;
  readonly notModifiedSince: Lsn;
} & (
  | { readonly kind: 'exists' | 'nblocks'; readonly tag: RelTag }
  | { readonly kind: 'getpage'; readonly tag: RelTag; readonly blockNumber: number }
  | { readonly kind: 'dbsize'; readonly dbNode: number }
  | { readonly kind: 'slru-segment'; readonly slru: SlruKind; readonly segno: number }
);

const KINDS = ['exists', 'nblocks', 'getpage', 'dbsize', 'slru-segment'] as const;
const REL_TAG_SIZE = 13;
const BODY_SIZES = {
  exists: REL_TAG_SIZE,
  nblocks: REL_TAG_SIZE,
  getpage: REL_TAG_SIZE + 4,
  dbsize: 4,
  'slru-segment': 5,
};
/** By the tag of the request. */
const RESPONSE_TAGS = [100, 101, 102, 104, 105];
const ERROR_TAG = 103;
const REQUEST_ID_SIZE = 8;
const LSNS_SIZE = 16;

/** Throws `PAGESERVER_INVALID_ARGUMENT` for a message of another length or meaning. */
export function decodePagestreamRequest(bytes: Uint8Array, version: PagestreamVersion): PagestreamRequest {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = bytes.length === 0 ? undefined : KINDS[view.getUint8(0)];
  if (kind === undefined) throw malformed(`unknown message tag ${bytes[0]}`);
  const lsns = 1 + (version === 3 ? REQUEST_ID_SIZE : 0);
  const body = lsns + LSNS_SIZE;
  const size = body + BODY_SIZES[kind];
  if (bytes.length !== size) throw malformed(`a ${kind} message has ${bytes.length} bytes, expected ${size}`);
  const head = {
    requestLsn: lsn(view.getBigUint64(lsns)),
    notModifiedSince: lsn(view.getBigUint64(lsns + 8)),
  };
  switch (kind) {
    case 'exists':
    case 'nblocks':
      return { ...head, kind, tag: decodeTag(view, body) };
    case 'getpage':
      return { ...head, kind, tag: decodeTag(view, body), blockNumber: view.getUint32(body + REL_TAG_SIZE) };
    case 'dbsize':
      return { ...head, kind, dbNode: view.getUint32(body) };
    case 'slru-segment':
      return { ...head, kind, slru: decodeSlruKind(view.getUint8(body)), segno: view.getUint32(body + 1) };
  }
}

/** What comes before the result in the answer to a request. */
export function answerHeader(request: Uint8Array, version: PagestreamVersion): Uint8Array {
  const header = version === 3 ? Uint8Array.from(request) : new Uint8Array(1);
  header[0] = RESPONSE_TAGS[request[0] ?? 0] ?? ERROR_TAG;
  return header;
}

/** An answer that tells an error; a request too short to have an id gets zeros for it. */
export function encodeError(request: Uint8Array, version: PagestreamVersion, message: string): Uint8Array {
  const echoSize = version === 3 ? REQUEST_ID_SIZE + LSNS_SIZE : 0;
  const text = new TextEncoder().encode(message.replaceAll('\0', ' '));
  const answer = new Uint8Array(1 + echoSize + text.length + 1);
  answer[0] = ERROR_TAG;
  answer.set(request.subarray(1, 1 + echoSize), 1);
  answer.set(text, 1 + echoSize);
  return answer;
}

export function encodeFlag(value: boolean): Uint8Array {
  return Uint8Array.of(value ? 1 : 0);
}

export function encodeCount(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function encodeSize(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value));
  return bytes;
}

/** Number of blocks in front of an SLRU segment's bytes. */
export function encodeSlruHeader(segment: Uint8Array): Uint8Array {
  return encodeCount(segment.length / BLCKSZ);
}

function decodeTag(view: DataView, offset: number): RelTag {
  const forkNum = view.getUint8(offset + 12);
  if (!isForkNumber(forkNum)) throw malformed(`fork ${forkNum}, expected 0 to 3`);
  return {
    spcNode: view.getUint32(offset),
    dbNode: view.getUint32(offset + 4),
    relNode: view.getUint32(offset + 8),
    forkNum,
  };
}

function isForkNumber(value: number): value is ForkNumber {
  return value <= 3;
}

function decodeSlruKind(number: number): SlruKind {
  const kind = SLRU_KINDS[number];
  if (kind === undefined) throw malformed(`SLRU kind ${number}, expected 0 to ${SLRU_KINDS.length - 1}`);
  return kind;
}

function malformed(what: string): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_ARGUMENT',
    operation: 'pagestream',
    message: `Bad request: ${what}`,
  });
}
