import type { Storage } from '@neon-snapshot/storage-core';

/** Asks to be the one writer below a directory of a storage. */
export interface LeaseRequest {
  readonly storage: Storage;
  /** Where the lease lies; no trailing `/`. */
  readonly directory: string;
  /** The generation will be at least this. */
  readonly generationMin: number;
  /** Take it from a living holder too. */
  readonly takeOver: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** The right to write below one directory of a storage: lasts while its holder lives, unless somebody takes it over. */
export interface WriteLease {
  /** Higher than that of every earlier holder. */
  readonly generation: number;
  /** Fires when the lease is lost; its reason is the error to report. */
  readonly signal: AbortSignal;
  /** Proves at the storage that the lease is still held: to be called right before anything becomes visible. */
  assertHeld(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Gives it up. `forget` also removes its record: only where nothing carries its generation. Never rejects. */
  release(options?: { readonly forget?: boolean }): Promise<void>;
}
