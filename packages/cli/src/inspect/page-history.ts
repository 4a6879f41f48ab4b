import { createHash } from 'node:crypto';
import type { HistoryStep, PageHistory } from '@neon-snapshot/format-neon';
import { decodePageHeader, formatLsn, type PageHeader, type RelTag } from '@neon-snapshot/postgres';
import { usageError } from '../cli-error.ts';
import type { CommandResult, JsonValue } from '../output/writer.ts';
import { loadNeonFormat } from '../plugins.ts';
import type { Session } from '../session.ts';
import { openSnapshotPlace, placeOptions, storageOf } from '../snapshot-place.ts';
import { RecordDescriber } from '../wal/record-facts.ts';
import { parseRelationName, relationName } from './relation-name.ts';

type JsonObject = { readonly [key: string]: JsonValue };

/** Changed ranges of a record that are named to people. */
const RANGES_SHOWN = 6;
/** `MaxBlockNumber` + 1. */
const BLOCKS_MAX = 0xffff_ffff;

/** `neon inspect --page REL BLK --lsn LSN`: the image that a page of a timeline rests on, and what each record above it did. */
export async function inspectPageHistory(session: Session): Promise<CommandResult> {
  const tag = parseRelationName(session.args.requiredString('page'));
  const blockNumber = blockOf(session);
  await using place = await openSnapshotPlace(session);
  const { readPageHistory } = await loadNeonFormat();
  const history = await readPageHistory(storageOf(place), {
    options: placeOptions(session, place),
    tag,
    blockNumber,
    signal: session.signal,
  });
  const limit = session.args.integer('limit') ?? history.steps.length;
  return {
    command: 'inspect',
    lines: describeLines(history, { tag, blockNumber, limit }),
    data: {
      target: relationName(tag),
      kind: 'page-history',
      ...describeData(history, { tag, blockNumber, limit }),
    },
  };
}

function blockOf({ args }: Session): number {
  const word = args.requiredString('target');
  const block = /^\d{1,10}$/.test(word) ? Number(word) : BLOCKS_MAX;
  if (block < BLOCKS_MAX && !args.has('block')) return block;
  throw usageError(
    `with --page comes the number of one block: neon inspect --page REL BLK --lsn LSN; found ${word}`,
  );
}

interface Shown {
  readonly tag: RelTag;
  readonly blockNumber: number;
  readonly limit: number;
}

function describeLines(history: PageHistory, { tag, blockNumber, limit }: Shown): string[] {
  const { base, steps, page } = history;
  const describer = new RecordDescriber(history.postgresMajor);
  const rest = steps.length - limit;
  return [
    `block ${blockNumber} of ${relationName(tag)} at ${formatLsn(history.lsn)}: ${counted(steps.length, 'record')} on ${base === undefined ? 'nothing' : 'an image'}; the relation has ${counted(history.relationBlocks, 'block')}`,
    ...(base === undefined
      ? []
      : [
          `${formatLsn(base.lsn)}  image in ${base.in === 'image-layer' ? 'image' : 'delta'} layer ${base.layer}, ${base.storedBytes} bytes stored`,
          `    ${headerLine(decodePageHeader(base.page))}`,
        ]),
    ...steps
      .slice(0, limit)
      .flatMap((step, index) => [
        ...(step.layer === (index === 0 ? undefined : steps[index - 1]?.layer)
          ? []
          : [`in delta layer ${step.layer}:`]),
        ...stepLines(step, describer),
      ]),
    ...(rest > 0 ? [`… ${counted(rest, 'more record')} (--limit=${limit})`] : []),
    page === undefined
      ? 'the page cannot be made'
      : `page: ${headerLine(decodePageHeader(page))}, sha256 ${sha256(page)}`,
  ];
}

function stepLines(step: HistoryStep, describer: RecordDescriber): string[] {
  const { operation, xid, recordBytes, imageBytes } = recordFacts(step, describer);
  const facts = [
    ...(xid === undefined ? [] : [`tx ${xid}`]),
    `${recordBytes} bytes`,
    ...(imageBytes > 0 ? [`page image of ${imageBytes} bytes`] : []),
    ...(step.willInit ? ['will init'] : []),
  ];
  return [`${formatLsn(step.lsn)}  ${operation}, ${facts.join(', ')}`, `    ${effectLine(step)}`];
}

function effectLine({ effect, fault }: HistoryStep): string {
  if (effect === undefined) return `not applied: ${fault?.message ?? ''} [${fault?.code ?? ''}]`;
  const { before, after, changedBytes, ranges } = effect;
  if (changedBytes === 0) return 'nothing changed: the page has it already, or it changes no byte';
  const moved = (['lower', 'upper', 'special', 'flags'] as const)
    .filter((name) => before[name] !== after[name])
    .map((name) => `pd_${name} ${before[name]} → ${after[name]}`);
  const shown = ranges.slice(0, RANGES_SHOWN).map(({ offset, length }) => `${offset}+${length}`);
  const lsn =
    before.lsn === after.lsn ? 'pd_lsn stays' : `pd_lsn ${formatLsn(before.lsn)} → ${formatLsn(after.lsn)}`;
  const more = ranges.length > RANGES_SHOWN ? ` and ${ranges.length - RANGES_SHOWN} more` : '';
  return `${[lsn, ...moved].join(', ')}; ${counted(changedBytes, 'byte')} changed at ${shown.join(', ')}${more}`;
}

function recordFacts({ record, lsn }: HistoryStep, describer: RecordDescriber) {
  if (record.kind !== 'postgres')
    return {
      resourceManager: 'Neon',
      record: record.kind,
      operation: `Neon ${record.kind}`,
      xid: undefined,
      recordBytes: 0,
      imageBytes: 0,
    };
  describer.decode(record.record);
  const { resourceManager, record: name, imageBytes } = describer.size();
  const { xid } = describer.describe({ start: undefined, end: lsn }).value;
  return {
    resourceManager,
    record: name,
    operation: `${resourceManager} ${name}`,
    xid: typeof xid === 'number' ? xid : undefined,
    recordBytes: record.record.length,
    imageBytes,
  };
}

function headerLine({ lsn, lower, upper, special, flags }: PageHeader): string {
  return `pd_lsn ${formatLsn(lsn)}, pd_lower ${lower}, pd_upper ${upper}, pd_special ${special}, pd_flags ${flags}`;
}

function describeData(history: PageHistory, { tag, blockNumber, limit }: Shown): JsonObject {
  const { base, steps, page } = history;
  const describer = new RecordDescriber(history.postgresMajor);
  return {
    tenantId: history.tenantId,
    timelineId: history.timelineId,
    postgresMajor: history.postgresMajor,
    lsn: formatLsn(history.lsn),
    relation: { spcNode: tag.spcNode, dbNode: tag.dbNode, relNode: tag.relNode, forkNum: tag.forkNum },
    blockNumber,
    relationBlocks: history.relationBlocks,
    base:
      base === undefined
        ? null
        : {
            lsn: formatLsn(base.lsn),
            in: base.in,
            layer: base.layer,
            storedBytes: base.storedBytes,
            ...headerData(decodePageHeader(base.page)),
            sha256: sha256(base.page),
          },
    records: steps.slice(0, limit).map((step) => stepData(step, describer)),
    recordsTotal: steps.length,
    page: page === undefined ? null : { ...headerData(decodePageHeader(page)), sha256: sha256(page) },
  };
}

function stepData(step: HistoryStep, describer: RecordDescriber): JsonObject {
  const { operation: _operation, xid, ...facts } = recordFacts(step, describer);
  const { effect, fault } = step;
  return {
    lsn: formatLsn(step.lsn),
    layer: step.layer,
    storedBytes: step.storedBytes,
    willInit: step.willInit,
    ...facts,
    xid: xid ?? null,
    effect:
      effect === undefined
        ? null
        : {
            before: headerData(effect.before),
            after: headerData(effect.after),
            changedBytes: effect.changedBytes,
            ranges: effect.ranges.map(({ offset, length }) => ({ offset, length })),
          },
    ...(fault === undefined ? {} : { fault: { ...fault } }),
  };
}

function headerData({ lsn, lower, upper, special, flags }: PageHeader): JsonObject {
  return { pdLsn: formatLsn(lsn), pdLower: lower, pdUpper: upper, pdSpecial: special, pdFlags: flags };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
