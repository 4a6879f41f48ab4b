import { readFile } from 'node:fs/promises';
import { RunnerError } from './runner-error.ts';

const STATE_VERSION = 1;

export interface StateFileOptions<State> {
  readonly path: string;
  /** Whether the fields are there with their types. */
  readonly isWhole: (fields: State) => boolean;
  /** Clause of what to do about a file that is not whole. */
  readonly remedy: string;
}

export function encodeState(state: object): string {
  return `${JSON.stringify({ version: STATE_VERSION, ...state }, undefined, 2)}\n`;
}

/** What {@link encodeState} made of it; undefined where there is no such file. Throws `RUNNER_STATE_INVALID`. */
export async function readState<State>(options: StateFileOptions<State>): Promise<State | undefined> {
  const { path, isWhole, remedy } = options;
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const fields = parseFields(text);
  if (fields?.version === STATE_VERSION && isWhole(fields as State)) return fields as State;
  throw new RunnerError({
    code: 'RUNNER_STATE_INVALID',
    operation: 'read state',
    message: `${path} is not what this version writes; ${remedy}`,
    context: { path },
  });
}

function parseFields(text: string): { readonly version?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
