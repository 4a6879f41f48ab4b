/** `backup_label` (xlogbackup.c): text lines in a fixed order. The server reads the first two to the letter. */
import { formatLsn, type Lsn, parseLsn } from './lsn.ts';
import { PostgresFormatError } from './postgres-format-error.ts';

export interface BackupLabel {
  /** Redo position of the backup's checkpoint: replay starts here. */
  readonly startWalLocation: Lsn;
  /** Name of the segment that holds `startWalLocation`, on `startTimeLineId`. */
  readonly startWalFileName: string;
  readonly checkpointLocation: Lsn;
  readonly backupMethod: string;
  /** `primary` or `standby`. */
  readonly backupFrom: string;
  /** As written, in the server's `log_timezone`: `2026-11-22 05:38:51 UTC`. */
  readonly startTime: string;
  /** At most 1024 bytes, no newline. */
  readonly label: string;
  readonly startTimeLineId: number;
  /** Of an incremental backup (17 and later), which no server starts from. */
  readonly incrementalFrom?: { readonly lsn: Lsn; readonly timeLineId: number };
}

export const BACKUP_LABEL_SIZE_MAX = 64 * 1024;
const LABEL_BYTES_MAX = 1024;
const START = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+) \(file ([0-9A-F]{24})\)$/;
const CHECKPOINT = /^CHECKPOINT LOCATION: ([0-9A-F]+\/[0-9A-F]+)$/;
const FIELD = /^([A-Z ]+): (.*)$/;
const OPERATION = 'decode backup_label';

/** Decodes UTF-8 text; throws `POSTGRES_INVALID` naming the line, `POSTGRES_OUT_OF_RANGE` above 64 KiB. */
export function decodeBackupLabel(bytes: Uint8Array): BackupLabel {
  if (bytes.length > BACKUP_LABEL_SIZE_MAX) {
    throw fault(
      'POSTGRES_OUT_OF_RANGE',
      OPERATION,
      `${bytes.length} bytes; at most ${BACKUP_LABEL_SIZE_MAX}`,
    );
  }
  const [first = '', second = '', ...rest] = new TextDecoder().decode(bytes).split('\n');
  if (rest.pop() !== '') throw fault('POSTGRES_TRUNCATED', OPERATION, 'the last line has no end');
  const [, start, fileName] = START.exec(first) ?? [];
  if (start === undefined || fileName === undefined) throw invalidLine('START WAL LOCATION', first);
  const [, checkpoint] = CHECKPOINT.exec(second) ?? [];
  if (checkpoint === undefined) throw invalidLine('CHECKPOINT LOCATION', second);
  const fields = parseFields(rest);
  const startTimeLineId = fields.timeLineId('START TIMELINE');
  if (startTimeLineId !== Number.parseInt(fileName.slice(0, 8), 16))
    throw invalidLine('START TIMELINE', first);
  const incrementalLsn = fields.text('INCREMENTAL FROM LSN');
  const incrementalTimeLineId = fields.timeLineId('INCREMENTAL FROM TLI');
  return {
    startWalLocation: parseLsn(start),
    startWalFileName: fileName,
    checkpointLocation: parseLsn(checkpoint),
    backupMethod: fields.required('BACKUP METHOD'),
    backupFrom: fields.required('BACKUP FROM'),
    startTime: fields.required('START TIME'),
    label: fields.required('LABEL'),
    startTimeLineId,
    ...(incrementalLsn === undefined || incrementalTimeLineId === undefined
      ? {}
      : { incrementalFrom: { lsn: parseLsn(incrementalLsn), timeLineId: incrementalTimeLineId } }),
  };
}

/** Encodes in the server's order; throws `POSTGRES_OUT_OF_RANGE` for a value that would break the lines. */
export function encodeBackupLabel(label: BackupLabel): Uint8Array {
  const operation = 'encode backup_label';
  if (!/^[0-9A-F]{24}$/.test(label.startWalFileName)) {
    throw fault('POSTGRES_OUT_OF_RANGE', operation, `"${label.startWalFileName}" is not a WAL file name`);
  }
  const texts = [label.backupMethod, label.backupFrom, label.startTime, label.label];
  if (texts.some((text) => /[\r\n]/.test(text)) || Buffer.byteLength(label.label) > LABEL_BYTES_MAX) {
    throw fault(
      'POSTGRES_OUT_OF_RANGE',
      operation,
      `a text has a line break or is over ${LABEL_BYTES_MAX} bytes`,
    );
  }
  const from = label.incrementalFrom;
  const lines = [
    `START WAL LOCATION: ${formatLsn(label.startWalLocation)} (file ${label.startWalFileName})`,
    `CHECKPOINT LOCATION: ${formatLsn(label.checkpointLocation)}`,
    `BACKUP METHOD: ${label.backupMethod}`,
    `BACKUP FROM: ${label.backupFrom}`,
    `START TIME: ${label.startTime}`,
    `LABEL: ${label.label}`,
    `START TIMELINE: ${label.startTimeLineId}`,
    ...(from === undefined
      ? []
      : [`INCREMENTAL FROM LSN: ${formatLsn(from.lsn)}`, `INCREMENTAL FROM TLI: ${from.timeLineId}`]),
  ];
  return new TextEncoder().encode(`${lines.join('\n')}\n`);
}

function parseFields(lines: readonly string[]) {
  const values = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined || values.has(name)) throw invalidLine('NAME: value', line);
    values.set(name, value);
  }
  return {
    text: (name: string) => values.get(name),
    required(name: string): string {
      const value = values.get(name);
      if (value === undefined) throw fault('POSTGRES_INVALID', OPERATION, `the line "${name}: …" is missing`);
      return value;
    },
    timeLineId(name: string): number | undefined {
      const value = values.get(name);
      if (value === undefined) return undefined;
      if (!/^[1-9]\d{0,9}$/.test(value) || Number(value) > 0xffff_ffff) throw invalidLine(name, value);
      return Number(value);
    },
  };
}

function invalidLine(expected: string, found: string): PostgresFormatError {
  return fault(
    'POSTGRES_INVALID',
    OPERATION,
    `expected a line "${expected}…", found ${JSON.stringify(found)}`,
  );
}

function fault(
  code: 'POSTGRES_INVALID' | 'POSTGRES_OUT_OF_RANGE' | 'POSTGRES_TRUNCATED',
  operation: string,
  problem: string,
): PostgresFormatError {
  return new PostgresFormatError({ code, operation, message: `backup_label: ${problem}` });
}
