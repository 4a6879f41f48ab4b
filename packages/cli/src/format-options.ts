import type { FormatOptionDescription, FormatOptions, FormatPlugin } from '@neon-snapshot/format-core';
import { type ParsedArguments, parseAssignments } from './arguments.ts';
import { usageError } from './cli-error.ts';

/** Flags of the CLI that are options of formats. Those that neither side of a transfer knows are refused. */
const FORMAT_FLAGS = [
  'recover',
  'ignore_page_errors',
  'allow_loss',
  'take_over',
  'lsn',
  'time',
  'snapshot',
  'timeline_id_mode',
  'tablespace_mapping',
  'checkpoint',
  'parents',
] as const;

export interface FormatOptionRequest {
  readonly format: FormatPlugin;
  /** `live`: read from a running server. */
  readonly direction: 'read' | 'write' | 'live';
  readonly args: ParsedArguments;
  /** Take `--format_option` too: it is meant for the format at `--snapshot_path`. */
  readonly isSnapshotPath: boolean;
  /** Options that the command itself decides. */
  readonly fixed?: FormatOptions;
}

/** The options of one side of a transfer, from the flags that its format describes. */
export function formatOptions(request: FormatOptionRequest): FormatOptions {
  const { args } = request;
  const described = describedOptions(request);
  const values: Record<string, string | boolean | readonly string[] | undefined> = {};
  for (const option of described) {
    const value = isFormatFlag(option.name) ? flagValue(args, option) : undefined;
    if (value !== undefined) values[option.name] = value;
  }
  if (request.isSnapshotPath) Object.assign(values, extraOptions(request, described));
  for (const [name, value] of Object.entries(request.fixed ?? {})) {
    if (value !== undefined && described.some((option) => option.name === name)) values[name] = value;
  }
  return values;
}

/** A flag that was given and that neither format knows would do nothing, which nobody who gives it expects. */
export function assertFlagsAreUsed(args: ParsedArguments, sides: readonly FormatOptionRequest[]): void {
  const known = new Set(sides.flatMap((side) => describedOptions(side).map((option) => option.name)));
  for (const flag of FORMAT_FLAGS) {
    if (!args.has(flag) || known.has(flag)) continue;
    const formats = sides.map(({ format, direction }) => `${WORDS[direction]} ${format.name}`).join(' and ');
    throw usageError(`--${flag} means nothing for ${formats}; leave it out`);
  }
}

const WORDS = { read: 'reading', write: 'writing', live: 'a running server as' } as const;

function describedOptions({ format, direction }: FormatOptionRequest): readonly FormatOptionDescription[] {
  if (direction === 'live') return format.liveOptions ?? [];
  return direction === 'read' ? format.readOptions : format.writeOptions;
}

function isFormatFlag(name: string): boolean {
  return FORMAT_FLAGS.some((flag) => flag === name);
}

function flagValue(
  args: ParsedArguments,
  option: FormatOptionDescription,
): string | boolean | readonly string[] | undefined {
  if (option.type === 'boolean') return args.boolean(option.name) ? true : undefined;
  if (option.type === 'string') return args.string(option.name);
  const list = args.list(option.name);
  return list.length === 0 ? undefined : list;
}

function extraOptions(
  { args, format }: FormatOptionRequest,
  described: readonly FormatOptionDescription[],
): Record<string, string | boolean | readonly string[]> {
  const result: Record<string, string | boolean | readonly string[]> = {};
  for (const [name, text] of Object.entries(parseAssignments('format_option', args.list('format_option')))) {
    const option = described.find((candidate) => candidate.name === name);
    if (option === undefined) {
      const known = described.map((candidate) => candidate.name).join(', ') || 'none';
      throw usageError(`the format ${format.name} has no option ${name}; its options: ${known}`);
    }
    result[name] = optionValue(option, text);
  }
  return result;
}

function optionValue(option: FormatOptionDescription, text: string): string | boolean | readonly string[] {
  if (option.type === 'list') return text.split(',');
  if (option.type === 'string') return text;
  if (text === 'true' || text === 'false') return text === 'true';
  throw usageError(`the option ${option.name} must be true or false, found ${text}`);
}
