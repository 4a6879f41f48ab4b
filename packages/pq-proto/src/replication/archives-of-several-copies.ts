import type { ClientWire } from '../client/client-wire.ts';
import type { Frame } from '../frame-parser.ts';
import { BACKEND, COPY } from '../message-types.ts';
import type { BackupPartSource, BaseBackupPart, BaseBackupTablespace } from './base-backup-part.ts';
import { archiveData, once } from './part-data.ts';

const OPERATION = 'base backup';

export interface ArchivesOfSeveralCopiesOptions {
  readonly wire: ClientWire;
  readonly tablespaces: readonly BaseBackupTablespace[];
  readonly manifest: boolean;
}

/** Framing of 14: one CopyOut for each row of the tablespace list, in its order, then one for the manifest. */
export class ArchivesOfSeveralCopies implements BackupPartSource {
  readonly #wire: ClientWire;
  readonly #left: (BaseBackupTablespace | 'manifest')[];
  #current: AsyncGenerator<Uint8Array, void, void> | undefined;

  constructor(options: ArchivesOfSeveralCopiesOptions) {
    this.#wire = options.wire;
    this.#left = [...options.tablespaces, ...(options.manifest ? ['manifest' as const] : [])];
  }

  async nextPart(): Promise<BaseBackupPart | undefined> {
    await this.#readOver();
    const next = this.#left.shift();
    if (next === undefined) return undefined;
    await this.#wire.expect(BACKEND.CopyOutResponse, OPERATION);
    if (next === 'manifest') {
      this.#current = this.#manifest();
      return { kind: 'manifest', data: once(this.#current) };
    }
    const payloadOf = (frame: Frame) => this.#payloadOf(frame);
    this.#current = archiveData({ wire: this.#wire, operation: OPERATION, payloadOf });
    const data = once(this.#current);
    const { oid, location } = next;
    return { kind: 'archive', name: `${oid ?? 'base'}.tar`, tablespaceOid: oid, location, data };
  }

  async #readOver(): Promise<void> {
    const current = this.#current;
    if (current === undefined) return;
    for (let step = await current.next(); !step.done; step = await current.next());
    this.#current = undefined;
  }

  async *#manifest(): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      const payload = this.#payloadOf(await this.#wire.read(OPERATION));
      if (payload === undefined) return;
      yield payload;
    }
  }

  #payloadOf(frame: Frame): Uint8Array | undefined {
    if (frame.type === COPY.Done) return undefined;
    if (frame.type !== COPY.Data) throw this.#wire.unexpected(frame, OPERATION);
    return frame.body;
  }
}
