import { usageError } from './cli-error.ts';
import { parseBytes, parseDuration } from './output/units.ts';

/** One flag of a command. Names are snake_case; kebab-case is accepted too. */
export interface OptionDefinition {
  /** `id`: 32 hex digits. `size`: bytes such as `100M`. `duration`: such as `30s`. */
  readonly type: 'string' | 'boolean' | 'number' | 'size' | 'duration' | 'id' | 'list';
  readonly describe: string;
  readonly alias?: string;
  readonly choices?: readonly string[];
  readonly default?: string;
  /** Bounds of a number. */
  readonly min?: number;
  readonly max?: number;
}

export type OptionTable = Readonly<Record<string, OptionDefinition>>;

export interface PositionalDefinition {
  readonly name: string;
  readonly describe: string;
  /** One or more of them; only the last one may be such a list. */
  readonly repeats?: boolean;
  /** It may be left out. */
  readonly optional?: boolean;
}

interface NumberBounds {
  readonly min?: number;
  readonly max?: number;
}

/** The words of one invocation, read by name with the type that the option table gave them. */
export class ParsedArguments {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** True when the flag was given, whatever its value; a default does not count as given. */
  has(name: string): boolean {
    const value = this.#values[name];
    return value !== undefined && value !== false;
  }

  string(name: string): string | undefined {
    const value = this.#values[name];
    if (value === undefined) return undefined;
    if (Array.isArray(value)) throw usageError(`--${name} was given ${value.length} times; give it once`);
    if (value === '') throw usageError(`--${name} is empty; give it a value or leave it out`);
    return String(value);
  }

  requiredString(name: string): string {
    const value = this.string(name);
    if (value === undefined) throw usageError(`--${name} is missing`);
    return value;
  }

  boolean(name: string): boolean {
    return this.#values[name] === true;
  }

  list(name: string): readonly string[] {
    const value = this.#values[name];
    if (value === undefined) return [];
    return (Array.isArray(value) ? value : [value]).map(String);
  }

  /** A whole number within bounds. */
  integer(name: string, bounds: NumberBounds = {}): number | undefined {
    const value = this.#values[name];
    if (value === undefined) return undefined;
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds;
    const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
    if (!Number.isInteger(number) || number < min || number > max)
      throw usageError(`--${name} must be a whole number from ${min} to ${max}, found ${String(value)}`);
    return number;
  }

  /** An id of a tenant or timeline: 32 hex digits, given back in lower case. */
  id(name: string): string | undefined {
    const given = this.string(name);
    if (given === undefined) return undefined;
    if (!/^[0-9a-f]{32}$/i.test(given)) throw usageError(`--${name} is 32 hex digits, found ${given}`);
    return given.toLowerCase();
  }

  /** A size such as `100M` or `1GiB`, in bytes. */
  bytes(name: string): number | undefined {
    const text = this.string(name);
    if (text === undefined) return undefined;
    const bytes = parseBytes(text);
    if (bytes === undefined || bytes === 0)
      throw usageError(`--${name} must be a size such as 100M, found ${text}`);
    return bytes;
  }

  /** A duration such as `30s` or `7d`, in milliseconds. */
  durationMs(name: string): number | undefined {
    const text = this.string(name);
    if (text === undefined) return undefined;
    const duration = parseDuration(text);
    if (duration === undefined)
      throw usageError(`--${name} must be a duration such as 500ms, 30s, 5m, 1h or 7d, found ${text}`);
    return duration;
  }
}

/** Checks the form of everything that was given, so that a mistake is found before anything is done. */
export function assertValues(args: ParsedArguments, table: OptionTable): void {
  for (const [name, option] of Object.entries(table)) {
    const { type } = option;
    if (type === 'string') args.string(name);
    else if (type === 'number') args.integer(name, option);
    else if (type === 'size') args.bytes(name);
    else if (type === 'duration') args.durationMs(name);
    else if (type === 'id') args.id(name);
  }
}

/** `--snapshot-path` → `--snapshot_path`, before `--` and before any `=`. Values are left alone. */
export function acceptKebabCase(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  return argv.map((word, index) => {
    if ((end !== -1 && index >= end) || !word.startsWith('--') || word === '--') return word;
    const equals = word.indexOf('=');
    const name = equals === -1 ? word : word.slice(0, equals);
    const value = equals === -1 ? '' : word.slice(equals);
    return `--${name.slice(2).replaceAll('-', '_')}${value}`;
  });
}

/** `name=value` words as a record; a word without `=` is a usage error. */
export function parseAssignments(flag: string, words: readonly string[]): Record<string, string> {
  const result: Record<string, string> = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 1) throw usageError(`--${flag} must be NAME=VALUE, found ${word}`);
    result[word.slice(0, equals)] = word.slice(equals + 1);
  }
  return result;
}
