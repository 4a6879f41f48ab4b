import type { SnapshotInfo } from '@neon-snapshot/format-core';
import { formatLsn, parseRelationPath } from '@neon-snapshot/postgres';
import { CliError, usageError } from '../cli-error.ts';
import { BLOCK_BYTES } from '../diff/compare-bodies.ts';
import { compareSnapshots, type FileDifference } from '../diff/compare-snapshots.ts';
import { type OpenedOperand, openOperand } from '../diff/snapshot-operand.ts';
import type { StreamedEnd, StreamedItem, StreamedResult } from '../output/streamed-result.ts';
import { formatBytes } from '../output/units.ts';
import type { JsonValue } from '../output/writer.ts';
import type { Session } from '../session.ts';

/** `neon snapshot diff A B`: which files, and which of their blocks, are not the same in two snapshots. */
export async function run(session: Session): Promise<StreamedResult> {
  const [a, b] = [session.args.string('a'), session.args.string('b')];
  if (a === undefined || b === undefined) throw usageError('name two snapshots: neon snapshot diff A B');
  return { command: 'snapshot diff', listName: 'differences', items: diff(session, a, b) };
}

async function* diff(
  session: Session,
  textA: string,
  textB: string,
): AsyncGenerator<StreamedItem, StreamedEnd, undefined> {
  await using a = await openOperand(session, textA);
  await using b = await openOperand(session, textB);
  for (const side of [a, b]) assertOrdered(side);
  const totals = { compared: 0, differing: 0, blocks: 0, relations: new RelationCounter() };
  const { bytesTotal } = a.reader.info;
  let bytesDone = 0;
  const differences = compareSnapshots(a.reader, b.reader, {
    counts: totals,
    signal: session.signal,
    onBytes: (count) => {
      bytesDone += count;
      session.onProgress({
        phase: 'copy',
        bytesDone,
        filesDone: totals.compared,
        ...(bytesTotal === undefined ? {} : { bytesTotal }),
      });
    },
  });
  for await (const difference of differences) {
    totals.differing += 1;
    if (difference.hasBlocks) totals.blocks += difference.body?.differingBlocks ?? 0;
    totals.relations.add(difference.path);
    yield { line: differenceLine(difference), value: differenceValue(difference) };
  }
  const { compared, differing } = totals;
  const facts = {
    filesCompared: compared,
    filesDiffering: differing,
    relationsDiffering: totals.relations.count,
    differingBlocks: totals.blocks,
    identical: differing === 0,
  };
  return {
    lines: [
      `a  ${sideLine(a)}`,
      `b  ${sideLine(b)}`,
      differing === 0
        ? `${compared} files, no difference`
        : `${differing} of ${compared} files differ: ${facts.relationsDiffering} relations, ${facts.differingBlocks} blocks`,
    ],
    data: { a: sideData(a), b: sideData(b), ...facts },
  };
}

/** Without a plan nothing promises the order in which files come. */
function assertOrdered({ format, reader, storage }: OpenedOperand): void {
  if (reader.plan !== undefined) return;
  throw new CliError(
    'CLI_NOT_COMPARABLE',
    'compare snapshots',
    `the format ${format.name} does not say beforehand what is in ${storage.url}, so its files come in no order; export it first and compare the export`,
  );
}

/** Counts relations, whatever their forks and segments: they come one after the other. */
class RelationCounter {
  count = 0;
  #last = '';

  add(path: string): void {
    const tag = parseRelationPath(path)?.tag;
    if (tag === undefined) return;
    const relation = `${tag.spcNode}/${tag.dbNode}/${tag.relNode}`;
    if (relation !== this.#last) this.count += 1;
    this.#last = relation;
  }
}

function differenceLine({ path, change, bytesA, bytesB, hasBlocks, body }: FileDifference): string {
  if (change === 'only-in-a') return `only in a: ${path} (${formatBytes(bytesA ?? 0)})`;
  if (change === 'only-in-b') return `only in b: ${path} (${formatBytes(bytesB ?? 0)})`;
  const sizes = bytesA === bytesB ? '' : `, ${formatBytes(bytesA ?? 0)} and ${formatBytes(bytesB ?? 0)}`;
  if (!hasBlocks || body === undefined) return `differs: ${path}${sizes}`;
  const more = body.differingBlocks > body.firstBlocks.length ? ', …' : '';
  const count = body.differingBlocks === 1 ? '1 block' : `${body.differingBlocks} blocks`;
  return `differs: ${path}${sizes}, ${count}: ${body.firstBlocks.join(', ')}${more}`;
}

function differenceValue({ path, change, bytesA, bytesB, hasBlocks, body }: FileDifference): JsonValue {
  const tag = parseRelationPath(path)?.tag;
  return {
    path,
    change,
    bytesA: bytesA ?? null,
    bytesB: bytesB ?? null,
    ...(tag === undefined
      ? {}
      : { relation: `${tag.spcNode}/${tag.dbNode}/${tag.relNode}`, fork: tag.forkNum }),
    ...(hasBlocks ? { blocksA: blockCount(bytesA), blocksB: blockCount(bytesB), ...blockFacts(body) } : {}),
  };
}

function blockFacts(body: FileDifference['body']): { readonly [key: string]: JsonValue } {
  if (body === undefined) return {};
  return { differingBlocks: body.differingBlocks, firstBlocks: [...body.firstBlocks] };
}

function blockCount(bytes: number | undefined): number | null {
  return bytes === undefined ? null : Math.ceil(bytes / BLOCK_BYTES);
}

function sideLine({ storage, format, reader: { info } }: OpenedOperand): string {
  return `${storage.url} (${format.name}), Postgres ${info.postgresMajor}, system identifier ${info.systemIdentifier}, at ${formatLsn(info.lsn)}`;
}

function sideData({ storage, format, reader }: OpenedOperand): { readonly [key: string]: JsonValue } {
  const info: SnapshotInfo = reader.info;
  return {
    url: storage.url,
    snapshotFormat: format.name,
    postgresMajor: info.postgresMajor,
    systemIdentifier: info.systemIdentifier.toString(),
    lsn: formatLsn(info.lsn),
    timeLineId: info.timeLineId,
  };
}
