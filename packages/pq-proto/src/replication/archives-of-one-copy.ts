import { BodyReader } from '../body-reader.ts';
import type { ClientWire } from '../client/client-wire.ts';
import type { Frame } from '../frame-parser.ts';
import { BACKEND, COPY } from '../message-types.ts';
import { type PqError, protocolError } from '../pq-error.ts';
import {
  type BackupPartSource,
  type BaseBackupArchive,
  type BaseBackupManifest,
  type BaseBackupPart,
  type BaseBackupTablespace,
  tablespaceOidOf,
} from './base-backup-part.ts';
import { archiveData, once } from './part-data.ts';

const OPERATION = 'base backup';

/** First byte of each CopyData, basebackup_copy.c of 15. */
const TAG = { NewArchive: 0x6e, Manifest: 0x6d, Data: 0x64, Progress: 0x70 } as const;

const NOTHING = new Uint8Array(0);

export interface ArchivesOfOneCopyOptions {
  readonly wire: ClientWire;
  readonly tablespaces: readonly BaseBackupTablespace[];
  readonly onProgress: ((bytes: bigint) => void) | undefined;
}

/**
 * Framing of 15 and newer: one CopyOut; `n` name NUL location NUL begins an archive, `m` the manifest, `d` is bytes of
 * what began last, `p` i64 is progress. A part ends where the next begins, or at CopyDone.
 */
export class ArchivesOfOneCopy implements BackupPartSource {
  readonly #options: ArchivesOfOneCopyOptions;
  #state: 'before' | 'copy' | 'after' = 'before';
  #current: AsyncGenerator<Uint8Array, void, void> | undefined;
  /** The start of the next part, which ended the one before. */
  #next: BodyReader | undefined;
  #archives = 0;

  constructor(options: ArchivesOfOneCopyOptions) {
    this.#options = options;
  }

  async nextPart(): Promise<BaseBackupPart | undefined> {
    if (this.#state === 'before') {
      await this.#options.wire.expect(BACKEND.CopyOutResponse, OPERATION);
      this.#state = 'copy';
      this.#current = this.#manifest();
    }
    await this.#readOver();
    const start = this.#next;
    this.#next = undefined;
    if (start === undefined) return this.#checkAllCame();
    const part = this.#partOf(start);
    this.#current = part.kind === 'archive' ? this.#archive() : this.#manifest();
    return { ...part, data: once(this.#current) };
  }

  #partOf(start: BodyReader): Omit<BaseBackupArchive, 'data'> | Omit<BaseBackupManifest, 'data'> {
    if (start.uint8() === TAG.Manifest) return { kind: 'manifest' };
    const name = start.cstring();
    const location = start.cstring();
    start.end();
    this.#archives += 1;
    return {
      kind: 'archive',
      name,
      tablespaceOid: tablespaceOidOf(name),
      location: location === '' ? undefined : location,
    };
  }

  #checkAllCame(): undefined {
    const expected = this.#options.tablespaces.length;
    if (this.#archives !== expected)
      throw protocolError(
        OPERATION,
        `the server sent ${this.#archives} archives and had announced ${expected}`,
      );
  }

  async #readOver(): Promise<void> {
    const current = this.#current;
    if (current === undefined) return;
    for (let step = await current.next(); !step.done; step = await current.next());
    this.#current = undefined;
  }

  #archive(): AsyncGenerator<Uint8Array, void, void> {
    const payloadOf = (frame: Frame) => this.#payloadOf(frame);
    return archiveData({ wire: this.#options.wire, operation: OPERATION, payloadOf });
  }

  async *#manifest(): AsyncGenerator<Uint8Array, void, void> {
    while (this.#state === 'copy') {
      const payload = this.#payloadOf(await this.#options.wire.read(OPERATION));
      if (payload === undefined) return;
      if (payload.length > 0) yield payload;
    }
  }

  /** Undefined at the start of the next part, which stays in `#next`, and at CopyDone. */
  #payloadOf(frame: Frame): Uint8Array | undefined {
    const { wire, onProgress } = this.#options;
    if (frame.type === COPY.Done) {
      this.#state = 'after';
      return undefined;
    }
    if (frame.type !== COPY.Data) throw wire.unexpected(frame, OPERATION);
    switch (frame.body[0]) {
      case TAG.Data:
        return frame.body.subarray(1);
      case TAG.NewArchive:
      case TAG.Manifest:
        this.#next = new BodyReader(frame.body, 'base backup');
        return undefined;
      case TAG.Progress:
        onProgress?.(progressOf(frame.body));
        return NOTHING;
      default:
        throw unknownTag(frame.body[0]);
    }
  }
}

function progressOf(body: Buffer): bigint {
  const reader = new BodyReader(body, 'base backup');
  reader.uint8();
  const bytes = reader.int64();
  reader.end();
  return bytes;
}

function unknownTag(tag: number | undefined): PqError {
  return protocolError(OPERATION, `a message of the backup has type ${tag}; n, m, d and p are known`);
}
