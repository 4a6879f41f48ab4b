/** Pages of an export that redo cannot make: by the fallback, or as an error that names them. */
import { FormatError } from '@neon-snapshot/format-core';
import { createTimelineRedo, type RedoFallback, redoPageWithFallback } from '@neon-snapshot/neon-timeline';
import { BLCKSZ, pageChecksum, type RelTag } from '@neon-snapshot/postgres';
import { isRedoError } from '@neon-snapshot/wal-redo';
import { codeOfRedo } from '../layer-faults.ts';
import type { UnknownPage } from '../pages/page-redo.ts';

export interface UnknownPageOptions {
  readonly postgresMajor: number;
  readonly hasChecksums: boolean;
  readonly fallback: RedoFallback;
  readonly signal: AbortSignal | undefined;
}

/** `pd_checksum` of PageHeaderData. */
const CHECKSUM_OFFSET = 8;

/** Makes the page as a thread would have made it, with a valid checksum where the cluster has them. Throws FormatError. */
export async function makeUnknownPage(
  unknown: UnknownPage & { readonly path: string; readonly tag: RelTag; readonly blockNumber: number },
  { postgresMajor, hasChecksums, fallback, signal }: UnknownPageOptions,
): Promise<Uint8Array> {
  const { base, records, path, tag, blockNumber } = unknown;
  const page = new Uint8Array(BLCKSZ);
  if (base !== undefined) page.set(base);
  const state = { tag, blockNumber, page, hasPage: base !== undefined, records };
  try {
    await redoPageWithFallback(createTimelineRedo(postgresMajor), state, { fallback, signal });
  } catch (error) {
    if (!isRedoError(error)) throw error;
    throw damagedPageError({ path, block: blockNumber, code: error.code, cause: error });
  }
  if (hasChecksums)
    new DataView(page.buffer).setUint16(CHECKSUM_OFFSET, pageChecksum(page, blockNumber), true);
  return page;
}

export function damagedPageError(of: {
  readonly path: string;
  readonly block: number;
  readonly code: string;
  readonly cause: Error;
}): FormatError {
  const { path, block, code, cause } = of;
  return new FormatError({
    code: codeOfRedo(code) ?? 'FORMAT_INVALID',
    operation: 'read pages',
    message: `Block ${block} of ${path} cannot be made from what the layers hold: ${cause.message}`,
    context: { path, block, fault: code },
    cause,
  });
}
