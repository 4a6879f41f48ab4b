import { type Lsn, parseLsn, resourceManagerName } from '@neon-snapshot/postgres';
import type { ParsedArguments } from '../arguments.ts';
import { usageError } from '../cli-error.ts';

/** Which records are wanted. */
export interface RecordFilter {
  /** Inclusive. */
  readonly start: Lsn | undefined;
  /** Exclusive. */
  readonly end: Lsn | undefined;
  readonly limit: number;
  /** All where undefined. */
  readonly resourceManagers: ReadonlySet<string> | undefined;
}

/** Reads `--start`, `--end`, `--limit` and `--rmgr`. */
export function recordFilter(args: ParsedArguments): RecordFilter {
  const [start, end] = [lsnOf(args, 'start'), lsnOf(args, 'end')];
  if (start !== undefined && end !== undefined && start >= end)
    throw usageError(`--start=${args.string('start')} is not before --end=${args.string('end')}`);
  return {
    start,
    end,
    limit: args.integer('limit', { min: 1 }) ?? Number.POSITIVE_INFINITY,
    resourceManagers: resourceManagersOf(args),
  };
}

function lsnOf(args: ParsedArguments, name: 'start' | 'end'): Lsn | undefined {
  const text = args.string(name);
  if (text === undefined) return undefined;
  try {
    return parseLsn(text);
  } catch {
    throw usageError(`--${name} must be an LSN such as 0/16B3748, found ${text}`);
  }
}

/** Values of Neon's own, and whole images, in a delta layer. */
const NEON = 'Neon';
const CUSTOM_MIN = 128;
const CUSTOM_MAX = 255;

function resourceManagersOf(args: ParsedArguments): ReadonlySet<string> | undefined {
  const asked = args.list('rmgr').flatMap((text) => text.split(','));
  if (asked.length === 0) return undefined;
  const known = [...knownNames()];
  return new Set(
    asked.map((name) => {
      const found = known.find((candidate) => candidate.toLowerCase() === name.trim().toLowerCase());
      if (found !== undefined) return found;
      const listed = known.filter((candidate) => !candidate.startsWith('custom'));
      throw usageError(
        `--rmgr: there is no resource manager ${name}; there are ${listed.join(', ')}, custom128 to custom255`,
      );
    }),
  );
}

function* knownNames(): Generator<string> {
  for (let id = 0; ; id += 1) {
    const name = resourceManagerName(id);
    if (name === undefined) break;
    yield name;
  }
  for (let id = CUSTOM_MIN; id <= CUSTOM_MAX; id += 1) yield `custom${id}`;
  yield NEON;
}
