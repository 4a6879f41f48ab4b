import { availableParallelism } from 'node:os';
import {
  FormatError,
  PageFaultPolicy,
  type ReadContext,
  type SnapshotInfo,
  type SnapshotReader,
} from '@neon-snapshot/format-core';
import type { TimelineReader } from '@neon-snapshot/neon-layer';
import { readTimelineContents, type TimelineContents } from '@neon-snapshot/neon-timeline';
import { formatLsn, type Lsn } from '@neon-snapshot/postgres';
import { type ClusterFacts, readClusterObjects } from '../cluster-objects.ts';
import { translating } from '../layer-faults.ts';
import { parseReadOptions, type ReadOptions } from '../options.ts';
import { WorkerPool } from '../pages/worker-pool.ts';
import { StockFallback } from '../stock/stock-fallback.ts';
import { NEON_TIME_LINE_ID } from '../write/neon-control.ts';
import { NEON_MAJORS } from '../write/source-checks.ts';
import { type ChosenTimeline, chooseTimeline } from './choose-timeline.ts';
import { type ExportControl, makeExportControl } from './export-control.ts';
import { type ExportFile, planExportFiles } from './export-files.ts';
import { NeonReader } from './neon-reader.ts';
import { openView } from './open-view.ts';
import { collectOtherFiles, exportDirectories, replicationSlotsOf } from './other-files.ts';

const THREADS_MAX = 8;

/**
 * Opens a timeline at an LSN as a snapshot. Reads the index, directories and sizes, and no page.
 * Errors: `FORMAT_NOT_FOUND`, `FORMAT_AMBIGUOUS`, `FORMAT_LSN_OUT_OF_RANGE`, `FORMAT_TIME_OUT_OF_RANGE`, `FORMAT_NEEDS_REDO`, `FORMAT_INVALID`, `FORMAT_TRUNCATED`,
 * `FORMAT_UNSUPPORTED`, `FORMAT_OPTION`, and `StorageError`.
 */
export async function openReader(context: ReadContext): Promise<SnapshotReader> {
  const options = parseReadOptions(context.options);
  return translating(async () => {
    const { storage, signal } = context;
    const chosen = await chooseTimeline(storage, { ...options, signal });
    const { postgresMajor } = chosen.index;
    assertMajor(postgresMajor);
    const view = await openView(storage, { options, chosen, signal });
    const contents = await readTimelineContents(view, { signal });
    return makeReader(context, { options, chosen, view, contents });
  });
}

interface OpenedTimeline {
  readonly options: ReadOptions;
  readonly chosen: ChosenTimeline;
  readonly view: TimelineReader;
  readonly contents: TimelineContents;
}

async function makeReader(context: ReadContext, opened: OpenedTimeline): Promise<SnapshotReader> {
  const { chosen, contents, view } = opened;
  const { control, configurationFiles } = await makeControl(context, opened);
  const warn = (message: string) => context.services.warn(message);
  const otherFiles = collectOtherFiles({ contents, control, configurationFiles, warn });
  const files = planExportFiles({ contents, postgresMajor: chosen.index.postgresMajor, otherFiles });
  const threadCount = Math.max(1, Math.min(context.concurrency, availableParallelism(), THREADS_MAX));
  return new NeonReader({
    info: describe({ control, contents, files }),
    files,
    directories: exportDirectories(
      files.map(({ path }) => path),
      control.postgresMajor,
    ),
    controlFile: control.controlFile,
    view,
    pool: new WorkerPool({ url: decodeWorkerUrl(), count: threadCount }),
    threadCount,
    modifiedAt: context.services.now(),
    warn,
    fallback: new StockFallback({
      services: context.services,
      postgresMajor: chosen.index.postgresMajor,
    }),
    faults: new PageFaultPolicy({ ignore: opened.options.ignorePageErrors, warn }),
    signal: context.signal,
  });
}

/** What our own objects say counts only for the cluster that they were stored for. */
async function makeControl(
  { storage, services, signal }: ReadContext,
  { options, chosen, contents, view }: OpenedTimeline,
): Promise<{
  readonly control: ExportControl;
  readonly configurationFiles: ReadonlyMap<string, Uint8Array>;
}> {
  const objects = await readClusterObjects(storage, chosen.tenantId, { signal });
  const previousRecord = options.timeLineIdMode === 'continue' ? recordBeforeEnd(view) : undefined;
  const make = (original: Pick<ClusterFacts, 'originalTimeLineId' | 'timelineHistory'>) =>
    makeExportControl({
      controlFile: contents.controlFile,
      checkpoint: contents.checkpoint,
      lsn: view.lsn,
      originalTimeLineId: original.originalTimeLineId,
      history: original.timelineHistory,
      timeLineIdMode: options.timeLineIdMode,
      previousRecord,
      preparedCount: contents.preparedTransactions.length,
    });
  const neonOnly = { originalTimeLineId: NEON_TIME_LINE_ID, timelineHistory: [] };
  const control = make(objects?.facts ?? neonOnly);
  if (objects === undefined) return { control, configurationFiles: new Map() };
  if (objects.facts.systemIdentifier === control.control.systemIdentifier) {
    return { control, configurationFiles: objects.files };
  }
  services.warn(
    `the configuration stored beside tenant ${chosen.tenantId} belongs to another cluster (${objects.facts.systemIdentifier}); left out`,
  );
  return { control: make(neonOnly), configurationFiles: new Map() };
}

/** Only at its end can a timeline be gone on with. Start of the last record there, where the timeline knows it. */
function recordBeforeEnd({ lsn, source }: TimelineReader): Lsn | undefined {
  const { diskConsistentLsn: end, prevRecordLsn } = source.index.metadata;
  if (lsn === end) return prevRecordLsn;
  throw new FormatError({
    code: 'FORMAT_OPTION',
    operation: 'read options',
    message: `option timeline_id_mode=continue reads a timeline at its end, ${formatLsn(end)}; found ${formatLsn(lsn)}`,
    context: { option: 'timeline_id_mode', lsn: formatLsn(lsn), end: formatLsn(end) },
  });
}

function describe(parts: {
  readonly control: ExportControl;
  readonly contents: TimelineContents;
  readonly files: readonly ExportFile[];
}): SnapshotInfo {
  const { control: facts } = parts;
  const { control } = facts;
  return {
    systemIdentifier: control.systemIdentifier,
    postgresMajor: facts.postgresMajor,
    catalogVersion: control.catalogVersion,
    lsn: facts.recordEnd,
    previousRecordLsn: facts.recordStart,
    timeLineId: facts.timeLineId,
    dataChecksums: control.dataChecksumVersion === 1,
    consistency: { kind: 'consistent' },
    walSegmentSizeBytes: control.walSegmentSizeBytes,
    blockSizeBytes: control.blockSizeBytes,
    tablespaces: [],
    bytesTotal: parts.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    features: {
      replicationSlots: replicationSlotsOf(parts.contents),
      commitTimestamps: false,
      statistics: parts.files.some(({ path }) => path.startsWith('pg_stat/')),
    },
  };
}

function assertMajor(postgresMajor: number): void {
  if (NEON_MAJORS.includes(postgresMajor)) return;
  throw new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: 'open reader',
    message: `The timeline is of Postgres ${postgresMajor}; supported majors are ${NEON_MAJORS.join(', ')}`,
    context: { postgresMajor },
  });
}

function decodeWorkerUrl(): URL {
  return new URL(
    import.meta.url.endsWith('.ts') ? '../pages/decode-worker.ts' : '../pages/decode-worker.js',
    import.meta.url,
  );
}
