/**
 * The members of an uncompressed tar on disk, found by their headers alone, so that a large backup needs no memory.
 * A header is 512 bytes: name 100, mode 8 (octal), …, size 12 at 124 (octal), …, typeflag 1 at 156, … "ustar" at 257.
 * Bodies are padded to 512. A page server writes short names only; other extensions are refused.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const BLOCK_BYTES = 512;
const CHUNK_BYTES = 1 << 20;

export type TarMember = {
  readonly name: string;
  /** `5` a directory; `0` or NUL a file. */
  readonly type: string;
  readonly mode: string;
  readonly sizeBytes: number;
  /** Where the body starts in the tar. */
  readonly offset: number;
};

export class TarFile {
  readonly fd: number;
  readonly members: readonly TarMember[];

  private constructor(fd: number, members: readonly TarMember[]) {
    this.fd = fd;
    this.members = members;
  }

  static open(path: string): TarFile {
    const fd = openSync(path, 'r');
    try {
      return new TarFile(fd, readMembers(fd));
    } catch (cause) {
      closeSync(fd);
      throw new Error(`${path} is no complete tar`, { cause });
    }
  }

  /** The SHA-256 of a member's body, in hex. */
  sha256(member: TarMember): string {
    const hash = createHash('sha256');
    const buffer = Buffer.alloc(CHUNK_BYTES);
    for (let done = 0; done < member.sizeBytes; ) {
      const read = readSync(
        this.fd,
        buffer,
        0,
        Math.min(CHUNK_BYTES, member.sizeBytes - done),
        member.offset + done,
      );
      if (read === 0) throw new Error(`${member.name} is cut short`);
      hash.update(buffer.subarray(0, read));
      done += read;
    }
    return hash.digest('hex');
  }

  close(): void {
    closeSync(this.fd);
  }
}

function readMembers(fd: number): TarMember[] {
  const members: TarMember[] = [];
  const total = fstatSync(fd).size;
  const header = Buffer.alloc(BLOCK_BYTES);
  for (let offset = 0; ; ) {
    if (readSync(fd, header, 0, BLOCK_BYTES, offset) < BLOCK_BYTES) throw new Error('it has no end marker');
    if (header.every((byte) => byte === 0)) return members;
    const member = decodeHeader(header, offset + BLOCK_BYTES);
    offset = member.offset + Math.ceil(member.sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
    if (offset > total) throw new Error(`${member.name} ends past the end of the file`);
    members.push(member);
  }
}

function decodeHeader(header: Buffer, offset: number): TarMember {
  const text = (start: number, length: number) => {
    const field = header.subarray(start, start + length);
    const end = field.indexOf(0);
    return field.toString('utf8', 0, end < 0 ? length : end).trim();
  };
  const type = header.toString('latin1', 156, 157);
  if (!['0', '\0', '5'].includes(type))
    throw new Error(`a member of the unknown type ${JSON.stringify(type)}`);
  return {
    name: text(0, 100),
    type,
    mode: text(100, 8).replace(/^0+/, ''),
    sizeBytes: octal(text(124, 12)),
    offset,
  };
}

function octal(text: string): number {
  if (!/^[0-7]+$/.test(text)) throw new Error(`${JSON.stringify(text)} is no octal number`);
  return Number.parseInt(text, 8);
}
