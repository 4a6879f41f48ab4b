import type { FormatOptionDescription, FormatOptions, FormatPlugin } from '@neon-snapshot/format-core';
import { type ParsedArguments, parseAssignments } from './arguments.ts';
import { usageError } from './cli-error.ts';

/** Flags of the CLI that are options of a format, where they have another name there. */
const FLAG_OF_OPTION: Readonly<Record<string, string>> = { timeline_id: 'timeline' };

export interface FormatOptionRequest {
  readonly format: FormatPlugin;
  readonly direction: 'read' | 'write';
  readonly args: ParsedArguments;
  /** Take `--format_option` too: it is meant for the format at `--snapshot_path`. */
  readonly isSnapshotPath: boolean;
  /** Options of the other side's format; a flag that neither side knows is refused. */
  readonly fixed?: FormatOptions;
}

/** The options of one side of a transfer, from the flags that its format describes. */
export function formatOptions(request: FormatOptionRequest): FormatOptions {
  const { args, format } = request;
  const described = request.direction === 'read' ? format.readOptions : format.writeOptions;
  const values: Record<string, string | boolean | readonly string[] | undefined> = { ...request.fixed };
  for (const option of described) {
    const value = flagValue(args, option);
    if (value !== undefined && values[option.name] === undefined) values[option.name] = value;
  }
  if (request.isSnapshotPath) Object.assign(values, extraOptions(args, format, described));
  return values;
}

function flagValue(
  args: ParsedArguments,
  option: FormatOptionDescription,
): string | boolean | readonly string[] | undefined {
  const flag = FLAG_OF_OPTION[option.name] ?? option.name;
  if (option.type === 'boolean') return args.boolean(flag) ? true : undefined;
  if (option.type === 'string') return args.string(flag);
  const list = args.list(flag);
  return list.length === 0 ? undefined : list;
}

function extraOptions(
  args: ParsedArguments,
  format: FormatPlugin,
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
