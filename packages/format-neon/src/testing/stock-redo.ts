import type { FormatServices } from '@neon-snapshot/format-core';
import { findPostgres } from '@neon-snapshot/postgres-process';
import { openStockRedo } from '@neon-snapshot/wal-redo-stock';

/** As the CLI wires it. */
export const stockRedoOfMachine: NonNullable<FormatServices['openStockRedo']> = async ({
  postgresMajor,
  signal,
}) => {
  const installation = await findPostgres({ major: postgresMajor, signal });
  return openStockRedo({
    installation,
    dataChecksums: false,
    heapLayout: 'neon',
    hintBitsLogged: false,
    signal,
  });
};
