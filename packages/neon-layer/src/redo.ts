import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { describeKey } from './describe-key.ts';
import { keyToHex } from './key.ts';
import type { ParsedKey } from './key-kind.ts';
import { NeonLayerError } from './layer-error.ts';
import type { NeonWalRecord } from './wal-record.ts';

/** A record that was applied to a key at an LSN (the end of the record). */
export interface RedoRecord {
  readonly lsn: Lsn;
  readonly record: NeonWalRecord;
}

/** What redo makes the state of a key from. */
export interface RedoRequest {
  readonly key: Uint8Array;
  readonly parsedKey: ParsedKey;
  /** The state is wanted as of this LSN. */
  readonly lsn: Lsn;
  /** The state that the first record applies to; absent when it needs none, or when there is none. */
  readonly base: Uint8Array | undefined;
  /** Oldest first; at least one. */
  readonly records: readonly RedoRecord[];
}

/** Applies WAL records to the state of one key. Injected: this package knows where records lie, not what they do. */
export type RedoFunction = (
  request: RedoRequest,
  options: { readonly signal?: AbortSignal | undefined },
) => Promise<Uint8Array>;

/** The error of a key whose newest state is a WAL record, where no redo was given. */
export function needsRedo(
  key: Uint8Array,
  newest: { readonly lsn: Lsn; readonly layer: string },
): NeonLayerError {
  const what = describeKey(key);
  return new NeonLayerError({
    code: 'NEON_LAYER_NEEDS_REDO',
    operation: 'read',
    message:
      `The newest state of ${what} is a WAL record at ${formatLsn(newest.lsn)} in layer ${newest.layer}: ` +
      'it can be read only with WAL redo. Read the timeline at an LSN where its image layers lie.',
    context: { key: keyToHex(key), what, lsn: formatLsn(newest.lsn), layer: newest.layer },
  });
}
