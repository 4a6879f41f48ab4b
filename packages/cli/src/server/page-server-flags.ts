import type { ParsedArguments } from '../arguments.ts';
import { PAGE_SERVER_OPTIONS } from './server-options.ts';

/** The flags of `neon start` that its page server's process gets as they were given. */
export function pageServerWords(args: ParsedArguments): string[] {
  return Object.entries(PAGE_SERVER_OPTIONS).flatMap(([name, option]) => {
    if (!args.has(name)) return [];
    return option.type === 'boolean' ? [`--${name}`] : [`--${name}=${args.string(name)}`];
  });
}

export function durabilityOf(args: ParsedArguments): 'local' | 'remote' {
  return args.string('durability') === 'remote' ? 'remote' : 'local';
}
