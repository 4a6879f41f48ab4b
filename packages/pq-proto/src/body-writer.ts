/** Builds a message body, big-endian. For control messages; payloads go into the batch as they are. */
export class BodyWriter {
  readonly #parts: Buffer[] = [];

  uint8(value: number): this {
    const bytes = Buffer.alloc(1);
    bytes.writeUInt8(value);
    return this.bytes(bytes);
  }

  int16(value: number): this {
    const bytes = Buffer.alloc(2);
    bytes.writeInt16BE(value);
    return this.bytes(bytes);
  }

  int32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return this.bytes(bytes);
  }

  uint32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return this.bytes(bytes);
  }

  /** Callers check that texts from outside hold no NUL. */
  cstring(text: string): this {
    return this.bytes(Buffer.from(`${text}\0`, 'utf8'));
  }

  bytes(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
