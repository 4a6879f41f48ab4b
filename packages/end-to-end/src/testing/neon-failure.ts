import { neon } from './neon-cli.ts';

/** What `--json` prints of a failure. */
export interface CliFailure {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  /** Everything that was printed. */
  readonly output: string;
  readonly seconds: number;
}

/** Runs a command line that has to fail with a typed error. */
export async function neonFailure(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliFailure> {
  const startedAt = performance.now();
  const outcome: unknown = await neon([...args, '--json'], env).then(
    ({ stdout }) => new Error(`the command was to fail: neon ${args.join(' ')}: ${stdout}`),
    (error: unknown) => error,
  );
  const seconds = (performance.now() - startedAt) / 1000;
  if (!isExit(outcome)) throw outcome;
  const output = outcome.stdout + outcome.stderr;
  const { error }: { readonly error?: { readonly code: string; readonly message: string } } = JSON.parse(
    outcome.stdout,
  );
  if (error === undefined) throw new Error(`no error was printed: ${output}`);
  return { exitCode: outcome.code, code: error.code, message: error.message, output, seconds };
}

interface FailedExit {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An ordinary exit with a code: a crash by a signal is none. */
function isExit(value: unknown): value is FailedExit {
  return value instanceof Error && 'stdout' in value && 'code' in value && typeof value.code === 'number';
}
