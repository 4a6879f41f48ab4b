import { type PqError, protocolError } from './pq-error.ts';

/** Reads the fields of one message body, big-endian, with every read checked. Views share the body's memory. */
export class BodyReader {
  readonly #body: Buffer;
  readonly #what: string;
  #offset = 0;

  /** `what` names the message in errors. */
  constructor(body: Buffer, what: string) {
    this.#body = body;
    this.#what = what;
  }

  get remaining(): number {
    return this.#body.length - this.#offset;
  }

  uint8(): number {
    return this.#body.readUInt8(this.#take(1));
  }

  int16(): number {
    return this.#body.readInt16BE(this.#take(2));
  }

  uint16(): number {
    return this.#body.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#body.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.#body.readUInt32BE(this.#take(4));
  }

  uint64(): bigint {
    return this.#body.readBigUInt64BE(this.#take(8));
  }

  int64(): bigint {
    return this.#body.readBigInt64BE(this.#take(8));
  }

  /** Text up to a NUL, which is taken too. */
  cstring(): string {
    const end = this.#body.indexOf(0, this.#offset);
    if (end < 0) throw this.#malformed('has a text without its end');
    const text = this.#body.toString('utf8', this.#offset, end);
    this.#offset = end + 1;
    return text;
  }

  bytes(length: number): Buffer {
    const start = this.#take(length);
    return this.#body.subarray(start, start + length);
  }

  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  /** Nothing may be left. */
  end(): void {
    if (this.remaining > 0) throw this.#malformed(`has ${this.remaining} bytes too many`);
  }

  #take(length: number): number {
    const offset = this.#offset;
    if (length < 0 || length > this.remaining) throw this.#malformed('ends too early');
    this.#offset += length;
    return offset;
  }

  #malformed(what: string): PqError {
    return protocolError('decode message', `a ${this.#what} message of ${this.#body.length} bytes ${what}`, {
      message: this.#what,
    });
  }
}
