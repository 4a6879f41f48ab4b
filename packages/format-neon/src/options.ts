/** Options of the neon format, checked. */
import {
  assertKnownOptions,
  booleanOption,
  FormatError,
  type FormatOptionDescription,
  type FormatOptions,
  stringOption,
} from '@neon-snapshot/format-core';
import { parseCommitTime } from '@neon-snapshot/neon-timeline';
import { type Lsn, parseLsn } from '@neon-snapshot/postgres';

export const WRITE_OPTIONS: readonly FormatOptionDescription[] = [
  {
    name: 'tenant_id',
    type: 'string',
    description:
      'Tenant to make, 32 hex digits; needed when the destination already holds another. Default: random.',
  },
  {
    name: 'sole_tenant',
    type: 'boolean',
    description:
      'Refuse a destination that holds any other tenant too. Default: only where no tenant_id is given.',
  },
  {
    name: 'timeline_id',
    type: 'string',
    description: 'Timeline to make, 32 hex digits. Default: random.',
  },
  {
    name: 'generation',
    type: 'string',
    description:
      'Least generation of the objects written, 1 to 4294967295. Default: 1; higher after an earlier writer.',
  },
  {
    name: 'take_over',
    type: 'boolean',
    description: 'End the right to write of another writer of the tenant that still seems to live.',
  },
  {
    name: 'allow_loss',
    type: 'boolean',
    description:
      'Leave out what the format cannot hold: replication slots, commit timestamps, files Postgres does not know.',
  },
  {
    name: 'ignore_page_errors',
    type: 'boolean',
    description: 'Import pages with wrong checksums as they are, with a warning each.',
  },
];

export const READ_OPTIONS: readonly FormatOptionDescription[] = [
  {
    name: 'tenant_id',
    type: 'string',
    description: 'Tenant to read, 32 hex digits. Default: the only one.',
  },
  {
    name: 'timeline_id',
    type: 'string',
    description: 'Timeline to read, 32 hex digits. Default: the only one of the tenant.',
  },
  {
    name: 'lsn',
    type: 'string',
    description: 'Where to read the timeline, such as 0/16B3748. Default: its last LSN in storage.',
  },
  {
    name: 'time',
    type: 'string',
    description:
      'Read the timeline as of a time, such as 2026-11-22T09:00:55Z: with every commit before the first one after it. Not together with lsn.',
  },
  {
    name: 'snapshot',
    type: 'string',
    description:
      'Read what a named snapshot stands for, its timeline and LSN. Not together with lsn or time.',
  },
  {
    name: 'stripe_size',
    type: 'string',
    description:
      'Of a sharded tenant whose manifest does not say it: blocks of a stripe, such as 2048 or 32768.',
  },
  {
    name: 'timeline_id_mode',
    type: 'string',
    description:
      'TimeLineID of the exported cluster: new continues on the next one with its history file, original keeps it, continue goes on with the timeline itself (an endpoint: TimeLineID 1, at its end only). Default: new.',
  },
  {
    name: 'ignore_page_errors',
    type: 'boolean',
    description: 'Read pages with wrong checksums as they are, with a warning each.',
  },
];

export interface WriteOptions {
  /** Undefined: a new one. */
  readonly tenantId: string | undefined;
  /** The destination has to be free of any tenant, not just of this one. */
  readonly isSoleTenant: boolean;
  /** Undefined: a new one. */
  readonly timelineId: string | undefined;
  /** The least that is used. */
  readonly generation: number;
  readonly takeOver: boolean;
  readonly allowLoss: boolean;
  readonly ignorePageErrors: boolean;
}

const TIME_LINE_ID_MODES = ['new', 'original', 'continue'] as const;
export type TimeLineIdMode = (typeof TIME_LINE_ID_MODES)[number];

export interface ReadOptions {
  readonly tenantId: string | undefined;
  readonly timelineId: string | undefined;
  readonly lsn: Lsn | undefined;
  /** µs since 2000-01-01 UTC; never with an LSN. */
  readonly time: bigint | undefined;
  /** Name of a snapshot; never with an LSN or time. */
  readonly snapshot: string | undefined;
  readonly stripeSize: number | undefined;
  readonly timeLineIdMode: TimeLineIdMode;
  readonly ignorePageErrors: boolean;
}

/** Throws `FORMAT_OPTION`. */
export function parseWriteOptions(options: FormatOptions): WriteOptions {
  assertKnownOptions(options, WRITE_OPTIONS);
  const tenantId = idOption(options, 'tenant_id');
  return {
    tenantId,
    isSoleTenant: tenantId === undefined || booleanOption(options, 'sole_tenant', { fallback: false }),
    timelineId: idOption(options, 'timeline_id'),
    generation: generationOption(options),
    takeOver: booleanOption(options, 'take_over', { fallback: false }),
    allowLoss: booleanOption(options, 'allow_loss', { fallback: false }),
    ignorePageErrors: booleanOption(options, 'ignore_page_errors', { fallback: false }),
  };
}

/** Throws `FORMAT_OPTION`. */
export function parseReadOptions(options: FormatOptions): ReadOptions {
  assertKnownOptions(options, READ_OPTIONS);
  return {
    tenantId: idOption(options, 'tenant_id'),
    timelineId: idOption(options, 'timeline_id'),
    lsn: lsnOption(options),
    time: timeOption(options),
    snapshot: snapshotOption(options),
    stripeSize: stripeSizeOption(options),
    timeLineIdMode: modeOption(options),
    ignorePageErrors: booleanOption(options, 'ignore_page_errors', { fallback: false }),
  };
}

const ID = /^[0-9a-f]{32}$/;
const GENERATION_MAX = 0xffff_ffff;

function idOption(options: FormatOptions, name: string): string | undefined {
  const value = stringOption(options, name)?.toLowerCase();
  if (value === undefined || ID.test(value)) return value;
  throw optionError(name, { expected: '32 hex digits', found: value });
}

function generationOption(options: FormatOptions): number {
  const text = stringOption(options, 'generation');
  if (text === undefined) return 1;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= GENERATION_MAX) return value;
  throw optionError('generation', { expected: `a number from 1 to ${GENERATION_MAX}`, found: text });
}

function lsnOption(options: FormatOptions): Lsn | undefined {
  const text = stringOption(options, 'lsn');
  if (text === undefined) return undefined;
  try {
    return parseLsn(text);
  } catch {
    throw optionError('lsn', { expected: 'two hex numbers such as 0/16B3748', found: text });
  }
}

function timeOption(options: FormatOptions): bigint | undefined {
  const text = stringOption(options, 'time');
  if (text === undefined) return undefined;
  if (stringOption(options, 'lsn') !== undefined)
    throw optionError('time', { expected: 'the place of lsn, not both', found: text });
  const time = parseCommitTime(text);
  if (time !== undefined) return time;
  throw optionError('time', { expected: 'a time with its zone such as 2026-11-22T09:00:55Z', found: text });
}

function snapshotOption(options: FormatOptions): string | undefined {
  const name = stringOption(options, 'snapshot');
  const isPoint = stringOption(options, 'lsn') !== undefined || stringOption(options, 'time') !== undefined;
  if (name === undefined || !isPoint) return name;
  throw optionError('snapshot', { expected: 'the place of lsn and time, not both', found: name });
}

function stripeSizeOption(options: FormatOptions): number | undefined {
  const text = stringOption(options, 'stripe_size');
  if (text === undefined) return undefined;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= 0xffff_ffff) return value;
  throw optionError('stripe_size', { expected: 'a number of blocks', found: text });
}

function modeOption(options: FormatOptions): TimeLineIdMode {
  const text = stringOption(options, 'timeline_id_mode') ?? 'new';
  const mode = TIME_LINE_ID_MODES.find((known) => known === text);
  if (mode !== undefined) return mode;
  throw optionError('timeline_id_mode', { expected: 'new, original or continue', found: text });
}

function optionError(
  name: string,
  { expected, found }: { readonly expected: string; readonly found: string },
): FormatError {
  return new FormatError({
    code: 'FORMAT_OPTION',
    operation: 'read options',
    message: `option ${name} takes ${expected}; found ${JSON.stringify(found.slice(0, 100))}`,
    context: { option: name },
  });
}
