import { FormatError, type SnapshotTrailer, type WriteContext } from '@neon-snapshot/format-core';
import { createPageCompressor, encodeIndexPart, ImageLayerBuilder } from '@neon-snapshot/neon-layer';
import {
  decodeTimelineHistory,
  type Lsn,
  type TimelineHistoryEntry,
  timelineHistoryFileName,
  ZERO_LSN,
} from '@neon-snapshot/postgres';
import { isStorageError } from '@neon-snapshot/storage-core';
import {
  type ClusterFacts,
  clusterFactsKey,
  configurationFileKey,
  encodeClusterFacts,
} from '../cluster-objects.ts';
import { type BackupSource, imageLsnOf, readBackupSource } from './backup/backup-source.ts';
import { ingestBackup } from './backup/ingest-backup.ts';
import type { WalScratch } from './backup/wal-scratch.ts';
import { type HeldContents, type HeldValuesSource, valuesOfRun } from './held-files.ts';
import { type ImportSession, indexKeyOf, type RunningImport } from './import-session.ts';
import { elementEnd, elementStart, type HeldRun, type KeyPlan } from './key-plan.ts';
import { toNeonControl } from './neon-control.ts';

/** Stored values of a layer of held values, at most; more are cut into several. */
const HELD_LAYER_BYTES_MAX = 16 * 1024 * 1024;

export interface TimelineParts {
  readonly context: WriteContext;
  readonly plan: KeyPlan;
  readonly session: ImportSession;
  readonly running: RunningImport;
  readonly signal: AbortSignal;
  readonly held: HeldContents;
  readonly trailer: SnapshotTrailer;
  /** Of a base backup. */
  readonly wal: WalScratch | undefined;
}

/** What a timeline takes in the storage. */
export interface PublishedSizes {
  readonly bytes: number;
  readonly objects: number;
}

/** Where a timeline ends. */
interface TimelineEnd {
  readonly lsn: Lsn;
  /** Start of the last record before. */
  readonly previousRecordLsn: Lsn | undefined;
}

/** Puts what is known only at the end: layers of held values, our own objects, and the index, last. */
export async function publishTimeline(
  parts: TimelineParts,
): Promise<PublishedSizes & { readonly end: TimelineEnd }> {
  const { context, plan, session, trailer, wal } = parts;
  const { publisher } = parts.running;
  const { info } = context.source;
  const backup = wal === undefined ? undefined : await readBackupSource(info, trailer, wal);
  const control = toNeonControl({
    bytes: trailer.controlFile,
    info,
    preparedXids: plan.preparedXids,
    beginning: backup?.checkPoint,
  });
  const source: HeldValuesSource = { plan, contents: parts.held, control };
  for (const element of plan.elements) {
    if (element.kind === 'held') await publishHeldRun(element, { parts, source });
  }
  await publisher.drain();
  const end = await publishWal({ parts, source, backup });
  await session.assertMayPublish();
  const cluster = await putClusterObjects(parts, end);
  await session.assertMayPublish();
  const indexBytes = await putIndex(parts, end);
  // Between the check and the put this process may have slept for longer than its lease: what it then published is taken back.
  await session.assertWasHeld();
  return {
    bytes: publisher.bytes + cluster.bytes + indexBytes,
    objects: publisher.layers.size + cluster.objects + 1,
    end,
  };
}

/** Of a base backup. Anything else ends where its images lie. */
async function publishWal(of: {
  readonly parts: TimelineParts;
  readonly source: HeldValuesSource;
  readonly backup: BackupSource | undefined;
}): Promise<TimelineEnd> {
  const { parts, source: values, backup } = of;
  const { running, context, wal, signal } = parts;
  const { info } = context.source;
  if (backup === undefined || wal === undefined)
    return { lsn: info.lsn, previousRecordLsn: info.previousRecordLsn };
  const { end, prevRecordLsn } = await ingestBackup({
    storage: context.storage,
    running,
    backup,
    wal,
    values,
    facts: info,
    makeIndex: (lsn) => makeIndex(parts, { lsn, previousRecordLsn: undefined, gcCutoffLsn: backup.start }),
    signal,
  });
  await running.publisher.drain();
  return { lsn: end, previousRecordLsn: prevRecordLsn };
}

async function publishHeldRun(
  run: HeldRun,
  { parts, source }: { readonly parts: TimelineParts; readonly source: HeldValuesSource },
): Promise<void> {
  const { tenantId, timelineId } = parts.running;
  const lsn = imageLsnOf(parts.context.source.info);
  const compressor = createPageCompressor();
  const open = (keyStart: Uint8Array) => new ImageLayerBuilder({ tenantId, timelineId, lsn, keyStart });
  const publish = async (builder: ImageLayerBuilder, keyEnd: Uint8Array) => {
    const { name, chunks } = builder.finish(keyEnd);
    await parts.running.publisher.publish({ name, bytes: Buffer.concat(chunks) });
  };
  let builder = open(elementStart(run));
  for (const { key, value } of valuesOfRun(run, source)) {
    if (builder.storedBytes > HELD_LAYER_BYTES_MAX) {
      await publish(builder, key);
      builder = open(key);
    }
    builder.appendBlob(key, compressor.encodeBlob(value));
  }
  await publish(builder, elementEnd(run));
}

async function putClusterObjects(parts: TimelineParts, { lsn }: TimelineEnd): Promise<PublishedSizes> {
  const { context, running, plan, held } = parts;
  const { info } = context.source;
  const configurationFiles = [...plan.keptFiles]
    .filter(([, kind]) => kind === 'configuration')
    .map(([path]) => path);
  const facts: ClusterFacts = {
    timelineId: running.timelineId,
    systemIdentifier: info.systemIdentifier,
    postgresMajor: info.postgresMajor,
    originalTimeLineId: info.timeLineId,
    timelineHistory: historyOf(info.timeLineId, held),
    lsn,
    importedAt: context.services.now(),
    sourceFormat: context.source.formatName,
    configurationFiles,
  };
  let bytes = 0;
  for (const path of configurationFiles) {
    bytes += await put(parts, configurationFileKey(running.tenantId, path), {
      bytes: held.get(path) ?? new Uint8Array(),
    });
  }
  bytes += await put(parts, clusterFactsKey(running.tenantId), { bytes: encodeClusterFacts(facts) });
  return { bytes, objects: configurationFiles.length + 1 };
}

/** Ancestors of the cluster's TimeLineID; none where the snapshot brought no such file. */
function historyOf(timeLineId: number, held: HeldContents): TimelineHistoryEntry[] {
  const bytes = held.get(`pg_wal/${timelineHistoryFileName(timeLineId)}`);
  return bytes === undefined ? [] : decodeTimelineHistory(bytes);
}

async function putIndex(parts: TimelineParts, end: TimelineEnd): Promise<number> {
  const { running, context } = parts;
  const key = indexKeyOf(running);
  try {
    const isConditional = context.storage.capability.conditionalPut.ifNoneMatch;
    running.hasPutIndex = true;
    return await put(parts, key, {
      bytes: encodeIndexPart(makeIndex(parts, end)),
      ...(isConditional ? { ifNoneMatch: '*' } : {}),
    });
  } catch (error) {
    if (!isStorageError(error, 'STORAGE_ALREADY_EXISTS')) throw error;
    running.hasPutIndex = false;
    throw new FormatError({
      code: 'FORMAT_NOT_EMPTY',
      operation: 'write index',
      message: `${context.storage.url} got an ${key} while this import ran; it was left alone`,
      context: { key },
      cause: error,
    });
  }
}

/** Before its end a base backup is a mixture of pages: `gcCutoffLsn` keeps readers away from that. */
function makeIndex(
  { context, running }: TimelineParts,
  end: TimelineEnd & { readonly gcCutoffLsn?: Lsn },
): Parameters<typeof encodeIndexPart>[0] {
  const { info } = context.source;
  const layers = [...running.publisher.layers].map(
    ([name, { sizeBytes, generation }]) => [name, { fileSize: sizeBytes, generation }] as const,
  );
  return {
    layers: new Map(layers),
    diskConsistentLsn: end.lsn,
    metadata: {
      diskConsistentLsn: end.lsn,
      prevRecordLsn: end.previousRecordLsn,
      ancestorLsn: ZERO_LSN,
      latestGcCutoffLsn: end.gcCutoffLsn ?? end.lsn,
      initdbLsn: imageLsnOf(info),
      postgresMajor: info.postgresMajor,
    },
  };
}

async function put(
  { context, signal }: TimelineParts,
  key: string,
  { bytes, ...condition }: { readonly bytes: Uint8Array; readonly ifNoneMatch?: '*' },
): Promise<number> {
  await context.storage.put(key, bytes, { signal, ...condition });
  return bytes.length;
}
