import type { ParsedArguments } from '../arguments.ts';
import { MAIN } from './ensure-repository.ts';

/** The endpoint that a command is about. */
export function endpointName(args: ParsedArguments): string {
  return args.string('name') ?? MAIN;
}
