/** pg_control and the WAL with which stock Postgres starts on the pages of a timeline, no recovery needed. */

import type { ControlFile } from '@neon-snapshot/postgres';
import {
  buildShutdownCheckpointSegment,
  decodeCheckPoint,
  decodeControlFile,
  encodeControlFile,
  encodeTimelineHistory,
  type Lsn,
  majorOfCatalogVersion,
  shutDownControlFile,
  type TimelineHistoryEntry,
  timelineHistoryFileName,
} from '@neon-snapshot/postgres';
import type { TimeLineIdMode } from '../options.ts';
import { NEON_TIME_LINE_ID } from '../write/neon-control.ts';

export interface ExportControlSource {
  /** Values of the control-file and checkpoint keys. */
  readonly controlFile: Uint8Array;
  readonly checkpoint: Uint8Array;
  /** Where the timeline is read. */
  readonly lsn: Lsn;
  /** TimeLineID that the cluster was on, and its ancestors. */
  readonly originalTimeLineId: number;
  readonly history: readonly TimelineHistoryEntry[];
  readonly timeLineIdMode: TimeLineIdMode;
  /** Start of the timeline's last record, in mode `continue`; undefined where the timeline does not know it. */
  readonly previousRecord?: Lsn | undefined;
  /** Transactions that are prepared there: the server has to start with room for them. */
  readonly preparedCount: number;
}

export interface ExportControl {
  readonly control: ControlFile;
  readonly postgresMajor: number;
  readonly timeLineId: number;
  /** The 8192 bytes of `global/pg_control`. */
  readonly controlFile: Uint8Array;
  /** Files of `pg_wal`. */
  readonly walFiles: readonly { readonly path: string; readonly bytes: Uint8Array }[];
  /** The stored checkpoint is that of a clean shutdown at exactly this LSN. */
  readonly isCleanShutdown: boolean;
  readonly recordStart: Lsn;
  readonly recordEnd: Lsn;
}

/**
 * Puts a shutdown checkpoint where the timeline ends. In mode `new` it is on the TimeLineID after the original, with a history
 * file, so that the export's WAL can never be taken for the source's; in mode `continue` it is the timeline's own next record.
 * Commit timestamps are not kept, so none are announced.
 */
export function makeExportControl(source: ExportControlSource): ExportControl {
  const stored = decodeControlFile(source.controlFile);
  const postgresMajor = majorOfCatalogVersion(stored.catalogVersion);
  const checkPoint = decodeCheckPoint(source.checkpoint, postgresMajor);
  const timeLineId = timeLineIdOf(source);
  const built = buildShutdownCheckpointSegment({
    major: postgresMajor,
    systemIdentifier: stored.systemIdentifier,
    timeLineId,
    lsn: source.lsn,
    previousRecord: source.previousRecord,
    segmentSize: stored.walSegmentSizeBytes,
    checkPoint: {
      ...checkPoint,
      prevTimeLineId: timeLineId,
      oldestActiveXid: 0,
      oldestCommitTsXid: 0,
      newestCommitTsXid: 0,
    },
  });
  // Neon keeps the settings of the import, which later ones may have passed.
  const maxPreparedXacts = Math.max(stored.maxPreparedXacts, source.preparedCount);
  const control = shutDownControlFile({ ...stored, maxPreparedXacts }, built);
  return {
    control,
    postgresMajor,
    timeLineId,
    controlFile: encodeControlFile(control),
    walFiles: [
      ...built.segments.map(({ fileName, bytes }) => ({ path: `pg_wal/${fileName}`, bytes })),
      ...historyFiles(source, timeLineId),
    ],
    isCleanShutdown: checkPoint.redo === source.lsn,
    recordStart: built.recordStart,
    recordEnd: built.recordEnd,
  };
}

function timeLineIdOf({ timeLineIdMode, originalTimeLineId }: ExportControlSource): number {
  switch (timeLineIdMode) {
    case 'new':
      return originalTimeLineId + 1;
    case 'original':
      return originalTimeLineId;
    case 'continue':
      return NEON_TIME_LINE_ID;
  }
}

function historyFiles(source: ExportControlSource, timeLineId: number) {
  if (source.timeLineIdMode === 'continue') return [];
  const ancestors =
    timeLineId === source.originalTimeLineId
      ? source.history
      : [
          ...source.history,
          { timeLineId: source.originalTimeLineId, switchLsn: source.lsn, reason: 'exported by neon' },
        ];
  if (ancestors.length === 0) return [];
  const path = `pg_wal/${timelineHistoryFileName(timeLineId)}`;
  return [{ path, bytes: encodeTimelineHistory(ancestors) }];
}
