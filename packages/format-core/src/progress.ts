/** What a running copy tells. Counters only grow within one phase. */
export interface ProgressEvent {
  readonly phase: 'plan' | 'copy' | 'sync' | 'publish';
  readonly bytesDone: number;
  readonly bytesTotal?: number;
  readonly filesDone: number;
  readonly filesTotal?: number;
}

export type ProgressListener = (event: ProgressEvent) => void;
