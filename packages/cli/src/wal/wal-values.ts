import { formatLsn, type Lsn, type WalEnd, walSegmentStart } from '@neon-snapshot/postgres';
import type { StreamedItem } from '../output/streamed-result.ts';
import type { JsonValue } from '../output/writer.ts';
import { majorOfTimeline } from './layer-major.ts';
import { readLayerValues } from './layer-values.ts';
import { RecordDescriber, type RecordSize } from './record-facts.ts';
import type { RecordFilter } from './record-filter.ts';
import { arrangeSegments, type SegmentFacts, type SegmentRange } from './segment-ranges.ts';
import { readSegmentRecords } from './segment-records.ts';
import { type LayerObject, readSegment, type SegmentObject, type WalObject } from './wal-object.ts';

/** A record of WAL, or a value of a delta layer. Valid until the next one is asked for. */
export interface WalValue {
  /** Where it is for `--start` and `--end`: of a record its start, of a value its LSN. */
  readonly lsn: Lsn;
  readonly resourceManager: string;
  size(): RecordSize;
  describe(): StreamedItem;
}

/** Where reading ended in one run of WAL. */
export interface WalStop {
  readonly line: string;
  readonly value: JsonValue;
}

export interface WalValuesOptions {
  readonly filter: RecordFilter;
  /** Of layers, where no index says it. */
  readonly major: number | undefined;
  readonly signal: AbortSignal;
  readonly onStop: (stop: WalStop) => void;
}

/** All that lies in the objects, segments first. Filtered by LSN only. */
export async function* readWalValues(
  objects: readonly WalObject[],
  options: WalValuesOptions,
): AsyncGenerator<WalValue, void, undefined> {
  const segments = objects.filter((object): object is SegmentObject => object.kind === 'segment');
  if (segments.length > 0) {
    const facts = await arrangeSegments(segments, options);
    for (const range of facts.ranges) yield* rangeRecords(facts, range, options);
  }
  for (const object of objects) if (object.kind === 'layer') yield* layerValues(object, options);
}

async function* rangeRecords(
  { major, segmentSize }: SegmentFacts,
  { firstSegno, segments, timeLineId }: SegmentRange,
  { filter, signal, onStop }: WalValuesOptions,
): AsyncGenerator<WalValue, void, undefined> {
  const rangeStart = walSegmentStart(firstSegno, segmentSize);
  const rangeEnd = walSegmentStart(firstSegno + segments.length, segmentSize);
  if (filter.end !== undefined && filter.end <= rangeStart) return;
  if (filter.start !== undefined && filter.start >= rangeEnd) return;
  const start = filter.start !== undefined && filter.start > rangeStart ? filter.start : rangeStart;
  const describer = new RecordDescriber(major);
  const batches = readSegmentRecords({
    major,
    segmentSize,
    start,
    load: async (segno) => {
      const object = segments[segno - firstSegno];
      return object === undefined ? undefined : readSegment(object, { signal });
    },
    signal,
  });
  for (;;) {
    const { done, value: batch } = await batches.next();
    if (done === true) {
      onStop(describeStop(batch, timeLineId));
      return;
    }
    for (const record of batch) {
      if (filter.end !== undefined && record.start >= filter.end) return;
      describer.decode(record.bytes);
      yield {
        lsn: record.start,
        resourceManager: describer.resourceManager,
        size: () => describer.size(),
        describe: () => describer.describe(record),
      };
    }
  }
}

async function* layerValues(
  object: LayerObject,
  { filter, major, signal }: WalValuesOptions,
): AsyncGenerator<WalValue, void, undefined> {
  const describer = new RecordDescriber(major ?? (await majorOfTimeline(object.storage, { signal })));
  for await (const value of readLayerValues(object, { describer, signal })) {
    if (filter.start !== undefined && value.lsn < filter.start) continue;
    if (filter.end !== undefined && value.lsn >= filter.end) continue;
    yield value;
  }
}

function describeStop({ lsn, reason, detail }: WalEnd, timeLineId: number): WalStop {
  const at = formatLsn(lsn);
  return {
    line: `end of WAL on TimeLineID ${timeLineId} at ${at}: ${detail}`,
    value: { timeLineId, lsn: at, reason, detail },
  };
}
