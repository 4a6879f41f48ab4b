/**
 * The pipe protocol of Neon's `postgres --wal-redo` (pageserver/src/walredo/process/protocol.rs), big-endian: type byte, u32
 * length that counts itself, body. B tag: begin with a page; P tag page: its base image; A u64 end LSN, record: apply;
 * G tag: send the page; H: send a page of zeros. Tag: fork u8, spc, db, rel, block u32. Replies are 8192 bytes and nothing else.
 */
import { BLCKSZ, type ForkNumber, lsn, type RelTag } from '@neon-snapshot/postgres';
import { redoRecord } from '../reconstruct-page.ts';
import type { RedoEngine } from '../redo-engine.ts';
import { RedoError } from '../redo-error.ts';

const BEGIN = 0x42;
const PUSH_PAGE = 0x50;
const APPLY_RECORD = 0x41;
const GET_PAGE = 0x47;
const PING = 0x48;

const HEADER_SIZE = 5;
const TAG_SIZE = 17;
const LSN_SIZE = 8;
/** Of a message: a page, or a record. The longest record ever seen has 240 kB. */
const MESSAGE_SIZE_MAX = 64 * 1024 * 1024;
const ZERO_PAGE = new Uint8Array(BLCKSZ);

/** Takes the bytes of requests as they come and answers each at once. */
export class RedoPipe {
  readonly #engine: RedoEngine;
  readonly #reply: (page: Uint8Array) => void;
  readonly #page = new Uint8Array(BLCKSZ);
  #pending: Uint8Array = new Uint8Array(0);
  #target: { readonly tag: RelTag; readonly blockNumber: number } | undefined;
  #hasPage = false;

  /** `reply` is given a page that is only valid during the call. */
  constructor(engine: RedoEngine, reply: (page: Uint8Array) => void) {
    this.#engine = engine;
    this.#reply = reply;
  }

  /** Answers all requests that are whole now. Throws RedoError; the pipe is of no use after that. */
  push(chunk: Uint8Array): void {
    let bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (bytes.length >= HEADER_SIZE) {
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, false);
      if (length < 4 || length > MESSAGE_SIZE_MAX) throw protocolError(`message of ${length} bytes`);
      if (bytes.length < 1 + length) break;
      this.#handle(bytes[0] ?? 0, bytes.subarray(HEADER_SIZE, 1 + length));
      bytes = bytes.subarray(1 + length);
    }
    // A copy: the caller reuses its chunk.
    this.#pending = Uint8Array.from(bytes);
  }

  #handle(type: number, body: Uint8Array): void {
    switch (type) {
      case BEGIN:
        this.#target = readTag(body, TAG_SIZE);
        this.#page.fill(0);
        this.#hasPage = false;
        return;
      case PUSH_PAGE:
        this.#assertTarget(readTag(body, TAG_SIZE + BLCKSZ));
        this.#page.set(body.subarray(TAG_SIZE));
        this.#hasPage = true;
        return;
      case APPLY_RECORD:
        this.#applyRecord(body);
        return;
      case GET_PAGE:
        this.#assertTarget(readTag(body, TAG_SIZE));
        this.#reply(this.#page);
        return;
      case PING:
        this.#reply(ZERO_PAGE);
        return;
      default:
        throw protocolError(`message type 0x${type.toString(16)}`);
    }
  }

  #applyRecord(body: Uint8Array): void {
    if (this.#target === undefined) throw protocolError('a record before any page');
    if (body.length < LSN_SIZE) throw protocolError(`a record message of ${body.length} bytes`);
    const endLsn = lsn(new DataView(body.buffer, body.byteOffset).getBigUint64(0, false));
    redoRecord(this.#engine, {
      page: this.#page,
      record: { endLsn, bytes: body.subarray(LSN_SIZE) },
      request: this.#target,
      hasPage: this.#hasPage,
      checkCrc: true,
    });
    this.#hasPage = true;
  }

  #assertTarget(given: { readonly tag: RelTag; readonly blockNumber: number }): void {
    const target = this.#target;
    const isSame =
      target !== undefined &&
      target.blockNumber === given.blockNumber &&
      target.tag.relNode === given.tag.relNode &&
      target.tag.forkNum === given.tag.forkNum &&
      target.tag.dbNode === given.tag.dbNode &&
      target.tag.spcNode === given.tag.spcNode;
    if (!isSame) throw protocolError('another page than the one that was begun');
  }
}

function readTag(body: Uint8Array, size: number): { readonly tag: RelTag; readonly blockNumber: number } {
  const forkNum = body[0] ?? 0;
  if (body.length !== size || forkNum > 3)
    throw protocolError(`a message of ${body.length} bytes, fork ${forkNum}`);
  const view = new DataView(body.buffer, body.byteOffset, TAG_SIZE);
  const [spcNode, dbNode, relNode] = [view.getUint32(1), view.getUint32(5), view.getUint32(9)];
  return {
    tag: { spcNode, dbNode, relNode, forkNum: forkNum as ForkNumber },
    blockNumber: view.getUint32(13),
  };
}

function protocolError(problem: string): RedoError {
  return new RedoError({
    code: 'REDO_PROTOCOL',
    operation: 'answer redo requests',
    message: `Redo pipe: ${problem}, which its protocol does not have`,
  });
}
