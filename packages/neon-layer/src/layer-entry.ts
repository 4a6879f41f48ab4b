import type { Lsn } from '@neon-snapshot/postgres';

/** One value of a layer: where its blob lies. */
export interface LayerEntry {
  readonly key: Uint8Array;
  /** Of an image layer: the layer's LSN. */
  readonly lsn: Lsn;
  /** In the file. */
  readonly offset: number;
  /** To the next blob or the index: the blob itself may be shorter by a gap. */
  readonly length: number;
  /** The value needs no older state. */
  readonly willInit: boolean;
}
