import { BLCKSZ, formatLsn, resourceManagerName } from '@neon-snapshot/postgres';
import { Bytes, newBytes } from '../bytes.ts';
import { restoreImage } from '../image/restore-image.ts';
import { stampLsn } from '../page/header.ts';
import type { RedoEngine } from '../redo-engine.ts';
import { operationName } from '../resource-managers.ts';
import { BasePages } from './base-pages.ts';
import { maskPage } from './masks.ts';
import type { RedoCluster } from './redo-cluster.ts';
import { type ReplayedBlock, replayWal } from './replay-wal.ts';

export interface OperationTally {
  blocks: number;
  /** Equal to the after-image, masked as Postgres does. */
  equal: number;
  /** Restored from an image of the record, so nothing to compare. */
  restored: number;
  different: number;
}

export interface ConsistencyReport {
  readonly records: number;
  readonly blocks: number;
  readonly equal: number;
  readonly restored: number;
  readonly different: number;
  /** Blocks of records that came without an after-image. */
  readonly unchecked: number;
  readonly operations: ReadonlyMap<string, OperationTally>;
  /** The first few differences, for people. */
  readonly problems: readonly string[];
}

const PROBLEMS_MAX = 20;

/** Replays the WAL of a cluster that ran with `wal_consistency_checking` and compares every after-image. */
export function checkConsistency(cluster: RedoCluster, engine: RedoEngine): ConsistencyReport {
  const operations = new Map<string, OperationTally>();
  const problems: string[] = [];
  const ours = newBytes(BLCKSZ);
  const image = newBytes(BLCKSZ);
  let unchecked = 0;
  const onBlock = (at: ReplayedBlock): void => {
    const tally = tallyOf(operations, at);
    tally.blocks++;
    const report = (problem: string): void => {
      tally.different++;
      if (problems.length < PROBLEMS_MAX) problems.push(`${describe(at)}: ${problem}`);
    };
    if (at.error !== undefined) {
      report(String(at.error));
      resync(at);
    } else if (at.block.applyImage) tally.restored++;
    else if (!at.block.hasImage) unchecked++;
    else {
      const place = firstDifference(at, { ours, image });
      if (place === undefined) tally.equal++;
      else {
        report(`differs at byte ${place}: ${ours.array[place]}, expected ${image.array[place]}`);
        resync(at);
      }
    }
  };
  const counts = replayWal(cluster, { engine, pages: new BasePages(cluster.baseDirectory), onBlock });
  const total = (field: keyof OperationTally): number =>
    [...operations.values()].reduce((sum, tally) => sum + tally[field], 0);
  return {
    records: counts.records,
    blocks: counts.blocks,
    equal: total('equal'),
    restored: total('restored'),
    different: total('different'),
    unchecked,
    operations,
    problems,
  };
}

function firstDifference(
  at: ReplayedBlock,
  { ours, image }: { readonly ours: Bytes; readonly image: Bytes },
): number | undefined {
  const { record, block, page } = at;
  ours.array.set(page);
  restoreImage(record.bytes, block, image);
  maskPage(record.resourceManager, ours, block.blockNumber);
  maskPage(record.resourceManager, image, block.blockNumber);
  if (Buffer.compare(ours.array, image.array) === 0) return undefined;
  return ours.array.findIndex((byte, index) => byte !== image.array[index]);
}

/** Later records are judged on the right page, not on the fault of this one. */
function resync({ record, block, page, endLsn }: ReplayedBlock): void {
  if (!block.hasImage) return;
  const ours = new Bytes(page);
  restoreImage(record.bytes, block, ours);
  stampLsn(ours, Number(endLsn >> 32n), Number(endLsn & 0xffff_ffffn));
}

function tallyOf(operations: Map<string, OperationTally>, { record }: ReplayedBlock): OperationTally {
  const name = operationLabel(record.resourceManager, record.info);
  let tally = operations.get(name);
  if (tally === undefined) operations.set(name, (tally = { blocks: 0, equal: 0, restored: 0, different: 0 }));
  return tally;
}

/** `Heap/hotUpdate` */
export function operationLabel(resourceManager: number, info: number): string {
  const manager = resourceManagerName(resourceManager) ?? String(resourceManager);
  return `${manager}/${operationName(resourceManager, info) ?? `0x${info.toString(16)}`}`;
}

function describe({ record, block, start }: ReplayedBlock): string {
  const where = `${block.relNode} fork ${block.forkNum} block ${block.blockNumber} (id ${block.id})`;
  return `${formatLsn(start)} ${operationLabel(record.resourceManager, record.info)} on ${where}`;
}
