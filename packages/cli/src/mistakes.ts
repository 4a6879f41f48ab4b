import type { OptionTable } from './arguments.ts';
import { type CliError, usageError } from './cli-error.ts';
import type { CommandDefinition } from './command.ts';
import { COMMAND_GROUPS, COMMANDS } from './command-table.ts';
import { GLOBAL_OPTIONS } from './options.ts';

/** The command that the words start with; undefined where they name none. */
export function commandOf(words: readonly string[]): CommandDefinition | undefined {
  const named = plainWords(words);
  return COMMANDS.find((command) => command.path.split(' ').every((word, index) => named[index] === word));
}

/** Options that a command takes, its own and those of every command. */
export function optionsOf(command: CommandDefinition | undefined): OptionTable {
  return { ...GLOBAL_OPTIONS, ...command?.options };
}

/** The known word near to what was written, if one is. */
type Suggest = (written: string, known: readonly string[]) => string | undefined;

/** yargs' complaint as a sentence that says what was found, what was expected, and the next step. */
export async function explainMistake(complaint: string, words: readonly string[]): Promise<CliError> {
  // Only a mistake pays for loading it.
  const { nearestName } = await import('@neon-snapshot/storage-core');
  const command = commandOf(words);
  const help = `see neon ${helpWords(words, command)}--help`;
  return usageError(`${sentence({ complaint, words, command, suggest: nearestName })}; ${help}`);
}

interface Mistake {
  readonly complaint: string;
  readonly words: readonly string[];
  readonly command: CommandDefinition | undefined;
  readonly suggest: Suggest;
}

function sentence(mistake: Mistake): string {
  const { complaint, command } = mistake;
  const unknownOption = /^Unknown arguments?: ([^,\n]+)/.exec(complaint)?.[1];
  if (unknownOption !== undefined) return describeUnknownOption(unknownOption, mistake);
  if (/^(Unknown command|Did you mean|name )/.test(complaint)) return describeUnknownCommand(mistake);
  const withoutValue = /^Not enough arguments following: (\S+)/.exec(complaint)?.[1];
  if (withoutValue !== undefined) return `--${withoutValue} needs a value`;
  const invalid = /Argument: (\S+), Given: "([^"]*)", Choices: (.*)/.exec(complaint);
  if (invalid !== null)
    return `--${invalid[1]} must be one of ${invalid[3]?.replaceAll('"', '')}, found ${invalid[2]}`;
  const missing = command?.positionals?.[0];
  if (complaint.startsWith('Not enough non-option arguments') && missing !== undefined)
    return `neon ${command?.path} needs a ${missing.describe}`;
  return complaint.replaceAll('\n', '; ');
}

function describeUnknownOption(name: string, { command, suggest }: Mistake): string {
  const known = Object.keys(optionsOf(command));
  const nearest = suggest(name, known);
  const elsewhere = COMMANDS.filter(
    (candidate) => candidate.hidden !== true && Object.hasOwn(candidate.options, name),
  );
  const hint =
    elsewhere.length > 0
      ? `it belongs to neon ${elsewhere.map((candidate) => candidate.path).join(', neon ')}`
      : nearest === undefined
        ? 'there is no such option'
        : `did you mean --${nearest}?`;
  const of = command === undefined ? '' : ` for neon ${command.path}`;
  return `unknown option ${name.length === 1 ? '-' : '--'}${name}${of}: ${hint}`;
}

function describeUnknownCommand({ words, command, suggest }: Mistake): string {
  const [first, second, ...rest] = plainWords(words);
  if (first === undefined) return 'name a command';
  if (command !== undefined) {
    const expected = command.path.split(' ').length + (command.positionals?.length ?? 0);
    const extra = [first, second, ...rest][expected];
    return `neon ${command.path} takes no further word${extra === undefined ? '' : `, found ${extra}`}`;
  }
  if (!Object.hasOwn(COMMAND_GROUPS, first)) {
    const visible = COMMANDS.filter((candidate) => candidate.hidden !== true);
    const known = [...new Set(visible.map((candidate) => candidate.path.split(' ')[0] ?? ''))];
    return `unknown command ${first}${didYouMean(suggest(first, known))}`;
  }
  const inGroup = COMMANDS.filter((candidate) => candidate.path.startsWith(`${first} `)).map(
    (candidate) => candidate.path.split(' ')[1] ?? '',
  );
  if (second === undefined) return `neon ${first} needs one of: ${inGroup.join(', ')}`;
  return `unknown command ${first} ${second}${didYouMean(suggest(second, inGroup))}; there are: ${inGroup.join(', ')}`;
}

function didYouMean(nearest: string | undefined): string {
  return nearest === undefined ? '' : `: did you mean ${nearest}?`;
}

function helpWords(words: readonly string[], command: CommandDefinition | undefined): string {
  if (command !== undefined) return `${command.path} `;
  const first = plainWords(words)[0];
  return first !== undefined && Object.hasOwn(COMMAND_GROUPS, first) ? `${first} ` : '';
}

/** The words that are neither flags nor values of flags. */
export function plainWords(words: readonly string[]): string[] {
  const options: OptionTable = Object.assign({}, GLOBAL_OPTIONS, ...COMMANDS.map((each) => each.options));
  const plain: string[] = [];
  let isValue = false;
  for (const word of words) {
    const isFlag = word.startsWith('-');
    if (!isFlag && !isValue) plain.push(word);
    isValue = isFlag && takesNextWord(word, options);
  }
  return plain;
}

function takesNextWord(flag: string, options: OptionTable): boolean {
  if (flag.includes('=')) return false;
  const name = flag.replace(/^--?/, '');
  const option = options[name] ?? Object.values(options).find((candidate) => candidate.alias === name);
  return option !== undefined && option.type !== 'boolean';
}
