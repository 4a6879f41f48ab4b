/** What a page server tells while it runs; every field can be written as JSON. LSNs in Postgres' text form. */
export type PageServerEvent =
  /** The timelines are loaded; pages can be read. */
  | {
      readonly kind: 'ready';
      readonly generation: number;
      readonly timelineCount: number;
      readonly durationMs: number;
    }
  | {
      readonly kind: 'recovered';
      readonly timelineId: string;
      /** Of the layers. */
      readonly diskConsistentLsn: string;
      /** Of the raw WAL behind them. */
      readonly lastRecordLsn: string;
      readonly walBytes: number;
    }
  | {
      readonly kind: 'tail-pushed';
      readonly timelineId: string;
      readonly lsn: string;
      readonly sizeBytes: number;
    }
  | {
      readonly kind: 'layers-pushed';
      readonly timelineId: string;
      readonly diskConsistentLsn: string;
      readonly layerCount: number;
      readonly sizeBytes: number;
      readonly durationMs: number;
    }
  /** The storage refused or did not answer; it goes on being tried. Told at the first failure and then once a minute. */
  | {
      readonly kind: 'storage-failing';
      readonly timelineId: string;
      readonly what: string;
      readonly message: string;
      readonly attempt: number;
    }
  | { readonly kind: 'storage-recovered'; readonly timelineId: string; readonly attempts: number }
  /** The local disk is full or fails: layers are read from the storage, new ones stay in memory until they are there. */
  | { readonly kind: 'cache-failing'; readonly message: string }
  /** Somebody else holds the lease: nothing more is published. The end. */
  | { readonly kind: 'fenced'; readonly message: string }
  | { readonly kind: 'wal-source-connected'; readonly timelineId: string; readonly lsn: string }
  | {
      readonly kind: 'wal-source-lost';
      readonly timelineId: string;
      readonly message: string;
      readonly retryInMs: number;
    }
  /** WAL that does not continue the timeline, or that cannot be taken: the source is given up until it is set anew. */
  | { readonly kind: 'wal-source-refused'; readonly timelineId: string; readonly message: string }
  | {
      readonly kind: 'back-pressure';
      readonly timelineId: string;
      readonly isOn: boolean;
      readonly memoryBytes: number;
    }
  | {
      readonly kind: 'maintenance';
      readonly timelineId: string;
      readonly what: string;
      readonly detail?: string;
    }
  | { readonly kind: 'maintenance-failed'; readonly timelineId: string; readonly message: string }
  | { readonly kind: 'closed' };
