import type { FormatOptionDescription, FormatOptions } from './format.ts';
import { FormatError } from './format-error.ts';

/** A boolean option; `fallback` where it was not given. Another type is `FORMAT_OPTION`. */
export function booleanOption(
  options: FormatOptions,
  name: string,
  config: { readonly fallback: boolean },
): boolean {
  const value = options[name];
  if (value === undefined) return config.fallback;
  if (typeof value === 'boolean') return value;
  throw optionError(name, 'true or false');
}

/** A string option, or undefined where it was not given. */
export function stringOption(options: FormatOptions, name: string): string | undefined {
  const value = options[name];
  if (value === undefined || typeof value === 'string') return value;
  throw optionError(name, 'one value');
}

/** A list option; a single string is a list of one. Empty where it was not given. */
export function listOption(options: FormatOptions, name: string): readonly string[] {
  const value = options[name];
  if (value === undefined) return [];
  if (typeof value === 'string') return [value];
  if (typeof value === 'boolean') throw optionError(name, 'a list of values');
  return value;
}

/** Refuses an option that the format does not describe, so that a typing error is not a silent default. */
export function assertKnownOptions(options: FormatOptions, known: readonly FormatOptionDescription[]): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.some((option) => option.name === name)) continue;
    const names = known.map((option) => option.name).join(', ') || 'none';
    throw new FormatError({
      code: 'FORMAT_OPTION',
      operation: 'read options',
      message: `unknown option ${name}; this format knows ${names}`,
      context: { option: name },
    });
  }
}

function optionError(name: string, expected: string): FormatError {
  return new FormatError({
    code: 'FORMAT_OPTION',
    operation: 'read options',
    message: `option ${name} takes ${expected}`,
    context: { option: name },
  });
}
