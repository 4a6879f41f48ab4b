import type { ClientWire } from '../client/client-wire.ts';
import { type RawResult, simpleQuery } from '../client/simple-query.ts';
import { parseDecimalText, UINT64_MAX } from '../decimal-text.ts';
import { parseLsnText } from '../lsn-text.ts';
import { PqError, protocolError } from '../pq-error.ts';

const TIMELINE_ID_MAX = 0xffff_ffff;
/** A slot's name, ReplicationSlotValidateName of slot.c. */
const SLOT_NAME = /^[a-z0-9_]{1,63}$/;

export interface SystemIdentification {
  readonly systemIdentifier: bigint;
  readonly timeLineId: number;
  /** Flushed on a primary, replayed on a standby. */
  readonly lsn: bigint;
  /** Of a connection with `replication: 'database'`. */
  readonly database: string | undefined;
}

export interface CreateSlotOptions {
  readonly name: string;
  /** Keep WAL from now on, and not only from the first connection. Default true. */
  readonly reserveWal?: boolean;
  /** Dropped with this connection. Default false. */
  readonly temporary?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ReplicationSlot {
  readonly restartLsn: bigint | undefined;
  readonly restartTimeLineId: number | undefined;
}

export interface TimelineHistoryFile {
  /** `0000000N.history`. */
  readonly name: string;
  readonly content: Uint8Array;
}

type Signal = AbortSignal | undefined;

export async function identifySystem(wire: ClientWire, signal: Signal): Promise<SystemIdentification> {
  const [id, timeline, position, database] = await oneRow(wire, 'IDENTIFY_SYSTEM', signal);
  return {
    systemIdentifier: parseDecimalText(requireText(id, 'systemid'), 'systemid', UINT64_MAX),
    timeLineId: parseTimeLineId(requireText(timeline, 'timeline')),
    lsn: parseLsnText(requireText(position, 'xlogpos')),
    database: database?.toString('utf8'),
  };
}

/** Value of a setting as text in the server's own units, such as `16MB`. */
export async function showSetting(wire: ClientWire, name: string, signal: Signal): Promise<string> {
  if (!/^[A-Za-z_][A-Za-z0-9_.]*$/.test(name))
    throw invalid('SHOW', `"${name}" is not the name of a setting`);
  const [value] = await oneRow(wire, `SHOW ${name}`, signal);
  return requireText(value, name);
}

export async function createPhysicalSlot(
  wire: ClientWire,
  options: CreateSlotOptions & { readonly major: number },
): Promise<void> {
  const temporary = options.temporary ? ' TEMPORARY' : '';
  const reserve = options.reserveWal === false ? '' : options.major >= 15 ? ' (RESERVE_WAL)' : ' RESERVE_WAL';
  const sql = `CREATE_REPLICATION_SLOT ${slotName(options.name)}${temporary} PHYSICAL${reserve}`;
  await command(wire, sql, options.signal);
}

export async function dropSlot(
  wire: ClientWire,
  options: { readonly name: string; readonly wait?: boolean; readonly signal?: Signal },
): Promise<void> {
  const sql = `DROP_REPLICATION_SLOT ${slotName(options.name)}${options.wait ? ' WAIT' : ''}`;
  await command(wire, sql, options.signal);
}

/** What a physical slot holds back, or undefined where there is no such slot. Majors from 15. */
export async function readSlot(
  wire: ClientWire,
  options: { readonly name: string; readonly major: number; readonly signal?: Signal },
): Promise<ReplicationSlot | undefined> {
  if (options.major < 15)
    throw new PqError({
      code: 'PQ_UNSUPPORTED',
      operation: 'READ_REPLICATION_SLOT',
      message: `Postgres ${options.major} has no READ_REPLICATION_SLOT; it came with 15; look into pg_replication_slots`,
    });
  const [type, lsn, timeLineId] = await oneRow(
    wire,
    `READ_REPLICATION_SLOT ${slotName(options.name)}`,
    options.signal,
  );
  if (type === null || type === undefined) return undefined;
  return {
    restartLsn: lsn ? parseLsnText(lsn.toString('utf8')) : undefined,
    restartTimeLineId: timeLineId ? parseTimeLineId(timeLineId.toString('utf8')) : undefined,
  };
}

export async function timelineHistory(
  wire: ClientWire,
  options: { readonly timeLineId: number; readonly signal?: Signal },
): Promise<TimelineHistoryFile> {
  const [name, content] = await oneRow(
    wire,
    `TIMELINE_HISTORY ${checkTimeLineId(options.timeLineId)}`,
    options.signal,
  );
  return { name: requireText(name, 'filename'), content: new Uint8Array(content ?? []) };
}

export function slotName(name: string): string {
  if (!SLOT_NAME.test(name))
    throw invalid(
      'replication slot',
      `"${name}" cannot name a slot; expected up to 63 of a-z, 0-9 and underscore`,
    );
  // A name that the walsender's grammar might take for a keyword is a plain name in quotes.
  return `"${name}"`;
}

export function checkTimeLineId(timeLineId: number): number {
  if (Number.isInteger(timeLineId) && timeLineId >= 1 && timeLineId <= TIMELINE_ID_MAX) return timeLineId;
  throw invalid('replication', `${timeLineId} is not a TimeLineID; expected 1 to ${TIMELINE_ID_MAX}`);
}

export function parseTimeLineId(text: string): number {
  const value = Number(text);
  // int4 in 14 and 15: what passes 2^31 comes as a negative number.
  const unsigned = value < 0 ? value + 2 ** 32 : value;
  if (!/^-?\d+$/.test(text) || unsigned < 1 || unsigned > TIMELINE_ID_MAX)
    throw protocolError('replication', `the server gives TimeLineID "${text.slice(0, 40)}"`);
  return unsigned;
}

async function command(wire: ClientWire, sql: string, signal: Signal): Promise<RawResult[]> {
  const operation = sql.split(' ', 1)[0] ?? sql;
  return await simpleQuery(wire, sql, { operation, signal });
}

async function oneRow(wire: ClientWire, sql: string, signal: Signal): Promise<readonly (Buffer | null)[]> {
  const [result] = await command(wire, sql, signal);
  const row = result?.rows[0];
  if (row === undefined) throw protocolError(sql, `${wire.channel.peer} answers ${sql} without a row`);
  return row;
}

function requireText(value: Buffer | null | undefined, name: string): string {
  if (value === null || value === undefined)
    throw protocolError('replication', `the server leaves out ${name}`);
  return value.toString('utf8');
}

function invalid(operation: string, message: string): PqError {
  return new PqError({ code: 'PQ_INVALID_ARGUMENT', operation, message });
}
