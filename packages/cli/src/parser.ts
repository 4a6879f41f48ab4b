import yargs, { type Argv, type Options } from 'yargs';
import {
  acceptKebabCase,
  type OptionDefinition,
  type OptionTable,
  type PositionalDefinition,
} from './arguments.ts';
import { usageError } from './cli-error.ts';
import type { CommandDefinition } from './command.ts';
import { COMMAND_GROUPS, COMMANDS } from './command-table.ts';
import { COMPLETION_REQUEST, completeWords } from './completion.ts';
import { commandOf, explainMistake, optionsOf } from './mistakes.ts';
import { GLOBAL_OPTIONS } from './options.ts';

/** What the words of a command line ask for. */
export type Invocation =
  | {
      readonly kind: 'command';
      readonly command: CommandDefinition;
      readonly values: Readonly<Record<string, unknown>>;
    }
  /** Help, version or a completion script. */
  | { readonly kind: 'text'; readonly text: string };

export interface ParserOptions {
  readonly version: string;
  readonly epilogue: string;
  /** Width of the help text. */
  readonly columns: number;
}

/** Parses a command line. Mistakes are `CLI_USAGE`, with a suggestion where one is near. */
export async function parseCommandLine(argv: readonly string[], options: ParserOptions): Promise<Invocation> {
  if (argv[0] === COMPLETION_REQUEST) return { kind: 'text', text: completeWords(argv.slice(1)).join('\n') };
  const { words, further } = splitFurtherWords(acceptKebabCase(argv));
  assertBooleanValues(words);
  let chosen: Invocation | undefined;
  const parser = buildParser(options, (command, values) => {
    chosen = { kind: 'command', command, values: { ...values, further_words: further } };
  });
  const { complaint, text } = await new Promise<{ complaint: string | undefined; text: string }>(
    (resolve) => {
      parser.parse(words, {}, (error: Error | undefined | null, _parsed: unknown, output: string) =>
        resolve({ complaint: error?.message, text: output }),
      );
    },
  );
  if (complaint !== undefined) throw await explainMistake(complaint, words);
  if (text !== '') return { kind: 'text', text };
  if (chosen === undefined) return { kind: 'text', text: await parser.getHelp() };
  await assertNoFurtherWords(chosen, words);
  return chosen;
}

/** Of a command that passes the words behind `--` on; of every other one they stay, to be refused. */
function splitFurtherWords(argv: readonly string[]): {
  readonly words: readonly string[];
  readonly further: readonly string[];
} {
  const end = argv.indexOf('--');
  if (end === -1 || commandOf(argv.slice(0, end))?.passesWordsTo === undefined)
    return { words: argv, further: [] };
  return { words: argv.slice(0, end), further: argv.slice(end + 1) };
}

/** `--dry_run=yes` would be taken for false: nobody may find that out by what got written. */
function assertBooleanValues(words: readonly string[]): void {
  const options = optionsOf(commandOf(words));
  for (const word of words) {
    const [, name = '', value] = /^--([^=]+)=(.*)$/s.exec(word) ?? [];
    if (options[name]?.type !== 'boolean' || value === 'true' || value === 'false') continue;
    throw usageError(`--${name} is true or false, found ${value}; say --${name} alone to turn it on`);
  }
}

/** yargs does not count the words behind `--`. */
async function assertNoFurtherWords(chosen: Invocation, words: readonly string[]): Promise<void> {
  if (chosen.kind !== 'command' || !Array.isArray(chosen.values._)) return;
  if (chosen.values._.length > chosen.command.path.split(' ').length)
    throw await explainMistake('Unknown command', words);
}

function buildParser(
  options: ParserOptions,
  choose: (command: CommandDefinition, values: Readonly<Record<string, unknown>>) => void,
): Argv {
  const parser = yargs()
    .scriptName('neon')
    .usage('$0 <command>\n\nSnapshot-first storage for Postgres.')
    .parserConfiguration({
      'camel-case-expansion': false,
      'duplicate-arguments-array': true,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'greedy-arrays': false,
      'boolean-negation': false,
    })
    // Messages are explained in English, and no locale file has to be looked for.
    .detectLocale(false)
    .options(toYargs(GLOBAL_OPTIONS))
    .version(options.version)
    .completion('completion', 'print a completion script for bash or zsh')
    .help()
    .alias('help', 'h')
    .strict()
    .strictCommands()
    .demandCommand(1, 'name a command')
    .exitProcess(false)
    .showHelpOnFail(false)
    .wrap(options.columns)
    .epilogue(options.epilogue);
  for (const command of COMMANDS.filter((entry) => !entry.path.includes(' ')))
    addCommand(parser, command, choose);
  for (const [group, summary] of Object.entries(COMMAND_GROUPS)) {
    parser.command(group, summary, (inner) => {
      for (const command of COMMANDS.filter((entry) => entry.path.startsWith(`${group} `)))
        addCommand(inner, command, choose);
      return inner.demandCommand(1, 'name a command').strictCommands();
    });
  }
  return parser;
}

function addCommand(
  parser: Argv,
  command: CommandDefinition,
  choose: (command: CommandDefinition, values: Readonly<Record<string, unknown>>) => void,
): void {
  const positionals = command.positionals ?? [];
  const word = command.path.split(' ').at(-1) ?? command.path;
  const words = [word, ...positionals.map(positionalWord)].join(' ');
  const { passesWordsTo } = command;
  const usage =
    passesWordsTo === undefined
      ? undefined
      : `$0 ${command.path} [name] [options] [-- words for ${passesWordsTo}]\n\n${command.summary}`;
  const build = (inner: Argv): Argv => {
    for (const positional of positionals)
      inner.positional(positional.name, { type: 'string', describe: positional.describe });
    for (const example of command.examples ?? []) inner.example(example, '');
    if (usage !== undefined) inner.usage(usage);
    return inner.options(toYargs(command.options));
  };
  const handle = (values: Readonly<Record<string, unknown>>) => choose(command, values);
  if (command.hidden === true) parser.command(words, false, build, handle);
  else parser.command(words, command.summary, build, handle);
}

function positionalWord({ name, repeats, optional }: PositionalDefinition): string {
  const inner = `${name}${repeats === true ? '..' : ''}`;
  return optional === true ? `[${inner}]` : `<${inner}>`;
}

function toYargs(table: OptionTable): Record<string, Options> {
  return Object.fromEntries(Object.entries(table).map(([name, option]) => [name, toYargsOption(option)]));
}

function toYargsOption(option: OptionDefinition): Options {
  return {
    describe: option.describe,
    ...(option.type === 'list'
      ? { type: 'array', string: true }
      : // Numbers stay text until they are read with their bounds, so that a message can show what was written.
        option.type === 'boolean'
        ? { type: 'boolean' }
        : { type: 'string', requiresArg: true }),
    ...(option.alias === undefined ? {} : { alias: option.alias }),
    ...(option.choices === undefined ? {} : { choices: option.choices }),
    ...(option.default === undefined ? {} : { default: option.default }),
  };
}
