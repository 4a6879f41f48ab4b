import { type BuiltLayer, isRelationBlockKey, keyToHex } from '@neon-snapshot/neon-layer';
import type { Lsn } from '@neon-snapshot/postgres';
import { lsn as toLsn } from '@neon-snapshot/postgres';
import { type IngestWrite, OpenDelta, type TimelineState } from '@neon-snapshot/wal-ingest';

/** Reads pages of the layers so far. */
export interface StoredPages {
  getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]>;
  close(): void;
}

export interface LayeredStateOptions {
  readonly tenantId: string;
  readonly timelineId: string;
  /** LSN of the images. */
  readonly start: Lsn;
  /** Everything of the images but relation pages. */
  readonly base: Pick<TimelineState, 'get'>;
  readonly layerBytesMax: number;
  /** Stores a layer. */
  readonly onLayer: (layer: BuiltLayer) => Promise<void>;
  /** Opens images and all layers that were stored, as of `lsn`: for databases that are copied file by file. */
  readonly openPages: (lsn: Lsn) => Promise<StoredPages>;
}

/**
 * State and sink of an ingest whose writes leave for L0 layers as they come. Kept in memory: one open layer, and the newest
 * directories, sizes and other small values.
 */
export class LayeredState implements TimelineState {
  readonly #options: LayeredStateOptions;
  readonly #newest = new Map<string, Uint8Array>();
  #open: OpenDelta;
  #pages: StoredPages | undefined;

  constructor(options: LayeredStateOptions) {
    this.#options = options;
    this.#open = this.#openAt(toLsn(options.start + 1n));
  }

  /** Bound: the sink of the ingest. */
  readonly apply = (writes: readonly IngestWrite[]): undefined => {
    for (const write of writes) {
      this.#open.add(write);
      const { key, value } = write;
      if (value.kind === 'image' && !isRelationBlockKey(key)) this.#newest.set(keyToHex(key), value.image);
    }
  };

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    if (isRelationBlockKey(key)) return (await this.getMany([key]))[0];
    return this.#newest.get(keyToHex(key)) ?? this.#options.base.get(key);
  }

  /** Of relation pages, or of other keys. A record reads all pages before it writes any: what was written so far is of whole records. */
  async getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    if (keys.every(isRelationBlockKey)) {
      this.#pages ??= await this.#openPages();
      return this.#pages.getMany(keys);
    }
    return Promise.all(keys.map((key) => this.get(key)));
  }

  /** Between records: stores the open layer where it has grown past the maximum. */
  async relieve(): Promise<void> {
    this.#closePages();
    if (this.#open.sizeBytes > this.#options.layerBytesMax) await this.#cut(toLsn(this.#open.lsnLast + 1n));
  }

  /** Stores what is left, up to but without `lsnEnd`. */
  async finish(lsnEnd: Lsn): Promise<void> {
    this.#closePages();
    await this.#cut(lsnEnd);
  }

  #closePages(): void {
    this.#pages?.close();
    this.#pages = undefined;
  }

  async #openPages(): Promise<StoredPages> {
    const { lsnLast } = this.#open;
    if (this.#open.writeCount > 0) await this.#cut(toLsn(lsnLast + 1n));
    return this.#options.openPages(lsnLast);
  }

  async #cut(lsnEnd: Lsn): Promise<void> {
    const built = this.#open.build(lsnEnd);
    if (built === undefined) return;
    this.#open = this.#openAt(lsnEnd);
    await this.#options.onLayer(built);
  }

  #openAt(lsnStart: Lsn): OpenDelta {
    const { tenantId, timelineId } = this.#options;
    return new OpenDelta({ tenantId, timelineId, lsnStart });
  }
}
