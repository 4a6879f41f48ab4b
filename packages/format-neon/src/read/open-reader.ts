import { FormatError, type ReadContext, type SnapshotReader } from '@neon-snapshot/format-core';

/** Opens a timeline as a snapshot. */
export async function openReader({ storage }: ReadContext): Promise<SnapshotReader> {
  throw new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'open reader',
    message: `Reading the timelines of ${storage.url} is not built yet`,
  });
}
