import { type PageFault, releaseChunk } from '@neon-snapshot/format-core';
import { BLCKSZ, type Lsn, RELSEG_BLOCKS } from '@neon-snapshot/postgres';
import type { EncodeRequest, EncodeResult } from '../pages/encode-worker.ts';
import { createPageSlot, type PageRun, type PageSlot, packRuns } from '../pages/page-slot.ts';
import type { WorkerPool } from '../pages/worker-pool.ts';
import type { StreamedFile } from './key-plan.ts';
import type { LayerSink } from './layer-sink.ts';

/** Files in one slot, at most: bounds the bookkeeping of a run of empty files. */
const PIECES_MAX = 1024;

/** Some blocks of one file in a slot. */
interface Piece {
  readonly file: StreamedFile;
  readonly firstBlockInFile: number;
  readonly count: number;
  /** The file ends with this piece. */
  readonly isEnd: boolean;
}

interface FilledSlot {
  readonly slot: PageSlot;
  readonly pieces: readonly Piece[];
  readonly result: Promise<EncodeResult>;
}

export interface SlotFeederOptions {
  readonly pool: WorkerPool<EncodeRequest, EncodeResult>;
  readonly sink: LayerSink;
  /** Slots of this partition: one being filled, the rest with the workers. */
  readonly slotCount: number;
  readonly dataChecksums: boolean;
  /**
   * Of a base backup: where it began. A page that was written since may have been copied half written, and the WAL brings it
   * whole.
   */
  readonly backupStart?: Lsn | undefined;
  readonly onFault: (fault: PageFault) => void;
}

/**
 * Fills slots with the pages of one file after the other, has them encoded side by side and appends the results in order.
 * Its memory is its slots.
 */
export class SlotFeeder {
  readonly #options: SlotFeederOptions;
  readonly #free: PageSlot[];
  readonly #waiting: FilledSlot[] = [];
  #pieces: Piece[] = [];
  #filledBytes = 0;

  constructor(options: SlotFeederOptions) {
    this.#options = options;
    this.#free = Array.from({ length: Math.max(2, options.slotCount) }, createPageSlot);
  }

  /** Takes a whole file; its body has exactly the planned number of bytes. */
  async addFile(file: StreamedFile, body: AsyncIterable<Uint8Array>): Promise<void> {
    let pieceStart = 0;
    let bytesInFile = 0;
    for await (const chunk of body) {
      for (let offset = 0; offset < chunk.length; ) {
        const slot = await this.#openSlot();
        const taken = chunk.subarray(offset, offset + slot.pages.length - this.#filledBytes);
        slot.pages.set(taken, this.#filledBytes);
        this.#filledBytes += taken.length;
        bytesInFile += taken.length;
        offset += taken.length;
        if (this.#filledBytes < slot.pages.length) continue;
        pieceStart = this.#addPiece({ file, pieceStart, bytesInFile, isEnd: false });
        this.#dispatch(slot);
      }
      releaseChunk(chunk);
    }
    const slot = await this.#openSlot();
    this.#addPiece({ file, pieceStart, bytesInFile, isEnd: true });
    if (this.#pieces.length >= PIECES_MAX) this.#dispatch(slot);
  }

  /** Encodes and appends what is left. */
  async finish(): Promise<void> {
    if (this.#pieces.length > 0) this.#dispatch(await this.#openSlot());
    while (this.#waiting.length > 0) await this.#appendOldest();
  }

  async #openSlot(): Promise<PageSlot> {
    while (this.#free[0] === undefined) await this.#appendOldest();
    return this.#free[0];
  }

  #addPiece(piece: {
    readonly file: StreamedFile;
    readonly pieceStart: number;
    readonly bytesInFile: number;
    readonly isEnd: boolean;
  }): number {
    const end = piece.bytesInFile / BLCKSZ;
    const { file, isEnd, pieceStart } = piece;
    this.#pieces.push({ file, firstBlockInFile: pieceStart, count: end - pieceStart, isEnd });
    return end;
  }

  #dispatch(slot: PageSlot): void {
    const pieces = this.#pieces;
    const runs = pieces.filter(({ count }) => count > 0).map((piece) => this.#toRun(piece));
    const pageCount = this.#filledBytes / BLCKSZ;
    const result = this.#options.pool.run({ slot, runs: packRuns(runs), pageCount });
    // Awaited later, in order; until then a failure must not count as unhandled.
    result.catch(() => undefined);
    this.#waiting.push({ slot, pieces, result });
    this.#free.shift();
    this.#pieces = [];
    this.#filledBytes = 0;
  }

  #toRun({ file, firstBlockInFile, count }: Piece): PageRun {
    const hasChecksums = this.#options.dataChecksums && file.pages.kind === 'relation';
    return { count, firstBlock: firstBlockOf(file) + firstBlockInFile, hasChecksums };
  }

  async #appendOldest(): Promise<void> {
    const filled = this.#waiting.shift();
    if (filled === undefined) return;
    const { lengths, faults } = await filled.result;
    for (const fault of faults) {
      if (!this.#isBroughtByWal(filled.slot, fault.index)) this.#report(filled.pieces, fault);
    }
    await this.#append(filled, lengths);
    this.#free.push(filled.slot);
  }

  async #append({ slot, pieces }: FilledSlot, lengths: Uint32Array): Promise<void> {
    const { sink } = this.#options;
    let page = 0;
    let offset = 0;
    for (const { file, firstBlockInFile, count, isEnd } of pieces) {
      if (count > 0) {
        const run = lengths.subarray(page, page + count);
        const storedBytes = run.reduce((sum, length) => sum + length, 0);
        const blobs = slot.blobs.subarray(offset, offset + storedBytes);
        await sink.appendPages({ file, firstBlockInFile, blobs, lengths: run });
        page += count;
        offset += storedBytes;
      }
      if (isEnd) await sink.endFile(file);
    }
  }

  #isBroughtByWal({ pages }: PageSlot, index: number): boolean {
    const { backupStart } = this.#options;
    if (backupStart === undefined) return false;
    const header = new DataView(pages.buffer, pages.byteOffset + index * BLCKSZ, BLCKSZ);
    const pageLsn = (BigInt(header.getUint32(0, true)) << 32n) | BigInt(header.getUint32(4, true));
    return pageLsn >= backupStart;
  }

  #report(
    pieces: readonly Piece[],
    fault: { readonly index: number; readonly expected: number; readonly found: number },
  ): void {
    let page = 0;
    for (const { file, firstBlockInFile, count } of pieces) {
      if (fault.index < page + count) {
        const blockNumber = firstBlockOf(file) + firstBlockInFile + fault.index - page;
        const { expected, found } = fault;
        this.#options.onFault({ path: file.path, blockNumber, expected, found });
        return;
      }
      page += count;
    }
  }
}

function firstBlockOf(file: StreamedFile): number {
  return file.pages.kind === 'relation' ? file.pages.segno * RELSEG_BLOCKS : 0;
}
