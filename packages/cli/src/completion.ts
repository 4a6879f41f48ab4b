import type { OptionDefinition } from './arguments.ts';
import { COMMAND_GROUPS, COMMANDS } from './command-table.ts';
import { commandOf, optionsOf, plainWords } from './mistakes.ts';

/** What the script that `neon completion` prints calls, with the words of the line so far. */
export const COMPLETION_REQUEST = '--get-yargs-completions';

/**
 * What can stand in place of the last word: commands, options, or the choices of an option. The first word is the program.
 * Empty where a file name is as good as anything, which shells complete themselves.
 */
export function completeWords(line: readonly string[]): string[] {
  const words = line.slice(1, -1);
  const current = line.at(-1) ?? '';
  const command = commandOf(words);
  const options = Object.entries(optionsOf(command));
  const choices = choicesFor(words.at(-1), options);
  if (choices !== undefined) return [...choices];
  if (current.startsWith('-')) return options.map(([name]) => `--${name}`);
  return command === undefined ? nextWords(plainWords(words)) : [];
}

function nextWords(words: readonly string[]): string[] {
  const [group] = words;
  if (group === undefined) {
    const single = COMMANDS.filter((command) => command.hidden !== true)
      .map((command) => command.path)
      .filter((path) => !path.includes(' '));
    return [...single, ...Object.keys(COMMAND_GROUPS), 'completion'];
  }
  return COMMANDS.filter((command) => command.path.startsWith(`${group} `)).map(
    (command) => command.path.split(' ')[1] ?? '',
  );
}

function choicesFor(
  previous: string | undefined,
  options: readonly (readonly [string, OptionDefinition])[],
): readonly string[] | undefined {
  return options.find(([name]) => previous === `--${name}`)?.[1].choices;
}
