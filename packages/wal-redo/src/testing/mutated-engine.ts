import type { WalRecordDecoder } from '@neon-snapshot/postgres';
import { Bytes } from '../bytes.ts';
import type { RedoEngine, RedoLsn } from '../redo-engine.ts';
import { operationLabel } from './check-consistency.ts';

/** A bug: what it does to a page after a right redo of one kind of operation. */
export interface Mutation {
  readonly name: string;
  readonly operation: string;
  /** Of the block reference that it hits. */
  readonly blockId: number;
  readonly damage: (page: Bytes, record: WalRecordDecoder) => void;
}

/** An engine with a bug. */
export function mutateEngine(engine: RedoEngine, mutation: Mutation): RedoEngine {
  return {
    settings: engine.settings,
    decoder: engine.decoder,
    redoBlock(record: WalRecordDecoder, blockIndex: number, page: Uint8Array | Bytes, endLsn: RedoLsn): void {
      engine.redoBlock(record, blockIndex, page, endLsn);
      const block = record.block(blockIndex);
      const isHit =
        block.id === mutation.blockId &&
        !block.applyImage &&
        operationLabel(record.resourceManager, record.info) === mutation.operation;
      if (isHit) mutation.damage(page instanceof Bytes ? page : new Bytes(page), record);
    },
  };
}
