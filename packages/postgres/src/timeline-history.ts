/** `<TimeLineID>.history` (timeline.c): one line per ancestor, `PARENT\tSWITCH LSN\tREASON`, oldest first. */
import { formatLsn, type Lsn, parseLsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';

export interface TimelineHistoryEntry {
  /** Ancestor's TimeLineID. */
  readonly timeLineId: number;
  /** WAL before this position belongs to the ancestor. */
  readonly switchLsn: Lsn;
  readonly reason: string;
}

export const TIMELINE_HISTORY_SIZE_MAX = 1024 * 1024;
const LINE = /^\s*([1-9]\d{0,9})[\t ]+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})(?:[\t ]+(.*))?$/;
const IGNORED = /^\s*(?:#.*)?$/;

/** Name of a history file: `00000002.history`. */
export function timelineHistoryFileName(timeLineId: number): string {
  return `${timeLineId.toString(16).toUpperCase().padStart(8, '0')}.history`;
}

/** Decodes UTF-8 text; blank lines and comments are left out. Throws `POSTGRES_INVALID` for anything else. */
export function decodeTimelineHistory(bytes: Uint8Array): TimelineHistoryEntry[] {
  const operation = 'decode timeline history';
  if (bytes.length > TIMELINE_HISTORY_SIZE_MAX)
    throw invalid(operation, `more than ${TIMELINE_HISTORY_SIZE_MAX} bytes`);
  const entries: TimelineHistoryEntry[] = [];
  for (const line of new TextDecoder().decode(bytes).split('\n')) {
    if (IGNORED.test(line)) continue;
    const [, id, position, reason] = LINE.exec(line) ?? [];
    if (id === undefined || position === undefined || Number(id) > 0xffff_ffff) {
      throw invalid(operation, `expected "PARENT\\tLSN\\tREASON", found ${JSON.stringify(line)}`);
    }
    entries.push({ timeLineId: Number(id), switchLsn: parseLsn(position), reason: reason ?? '' });
  }
  assertAscending(entries, operation);
  return entries;
}

/** Encodes in order, as the server writes them: an empty line before every line but the first. */
export function encodeTimelineHistory(entries: readonly TimelineHistoryEntry[]): Uint8Array {
  const operation = 'encode timeline history';
  assertAscending(entries, operation);
  const lines = entries.map(({ timeLineId, switchLsn, reason }) => {
    if (/[\r\n]/.test(reason)) throw invalid(operation, `reason ${JSON.stringify(reason)} has a line break`);
    return `${timeLineId}\t${formatLsn(switchLsn)}\t${reason}\n`;
  });
  return new TextEncoder().encode(lines.join('\n'));
}

function assertAscending(entries: readonly TimelineHistoryEntry[], operation: string): void {
  let before = 0;
  for (const { timeLineId } of entries) {
    if (timeLineId <= before) throw invalid(operation, `TimeLineID ${timeLineId} comes after ${before}`);
    before = timeLineId;
  }
}

function invalid(operation: string, problem: string): PostgresFormatError {
  return new PostgresFormatError({
    code: 'POSTGRES_INVALID',
    operation,
    message: `Timeline history: ${problem}`,
  });
}
