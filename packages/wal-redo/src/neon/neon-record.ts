/**
 * Neon's own records (wal_decoder/src/models/record.rs), which its page server applies in its own process: changes of
 * visibility map pages and of SLRU pages. Layouts of the pages: visibilitymap.h, clog.c, multixact.c.
 */
import type { Lsn } from '@neon-snapshot/postgres';
import { RedoError } from '../redo-error.ts';
import { RedoFault } from '../redo-fault.ts';
import { setClogAborted, setClogCommitted } from './clog.ts';
import { createMultixactMembers, createMultixactOffset } from './multixact.ts';
import { clearVisibilityMapFlags, truncateVisibilityMap } from './visibility-map.ts';

export type NeonPageRecord =
  | {
      readonly kind: 'clear-visibility-map-flags';
      readonly newHeapBlock: number | undefined;
      readonly oldHeapBlock: number | undefined;
      readonly flags: number;
    }
  | { readonly kind: 'truncate-visibility-map'; readonly byte: bigint; readonly bitOffset: bigint }
  /** `timestamp`: µs since 2000-01-01 UTC. */
  | { readonly kind: 'clog-set-committed'; readonly xids: readonly number[]; readonly timestamp: bigint }
  | { readonly kind: 'clog-set-aborted'; readonly xids: readonly number[] }
  | { readonly kind: 'multixact-offset-create'; readonly mid: number; readonly moff: number }
  | {
      readonly kind: 'multixact-members-create';
      readonly moff: number;
      readonly members: readonly { readonly xid: number; readonly status: number }[];
    }
  /** Obsolete; changes nothing. */
  | { readonly kind: 'aux-file' };

/** The value after a record; `value` may be changed in place. Throws RedoError for a value or record that can't be right. */
export function applyNeonRecord(value: Uint8Array, record: NeonPageRecord, lsn: Lsn): Uint8Array {
  try {
    return apply(value, record, lsn);
  } catch (error) {
    if (!(error instanceof RedoFault)) throw error;
    const message = `${record.kind} on a value of ${value.length} bytes: ${error.message}`;
    throw new RedoError({ code: error.code, operation: 'apply Neon record', message, cause: error });
  }
}

function apply(value: Uint8Array, record: NeonPageRecord, lsn: Lsn): Uint8Array {
  switch (record.kind) {
    case 'clear-visibility-map-flags':
      return clearVisibilityMapFlags(value, record, lsn);
    case 'truncate-visibility-map':
      return truncateVisibilityMap(value, record);
    case 'clog-set-committed':
      return setClogCommitted(value, record);
    case 'clog-set-aborted':
      return setClogAborted(value, record);
    case 'multixact-offset-create':
      return createMultixactOffset(value, record);
    case 'multixact-members-create':
      return createMultixactMembers(value, record);
    case 'aux-file':
      return value;
  }
}
