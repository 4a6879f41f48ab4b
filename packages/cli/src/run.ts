import { assertValues, ParsedArguments } from './arguments.ts';
import { CliError } from './cli-error.ts';
import type { CommandDefinition } from './command.ts';
import { EXIT_CODE, exitCodeOf } from './exit-code.ts';
import { GLOBAL_OPTIONS } from './options.ts';
import { ProgressDisplay, type ProgressMode } from './output/progress.ts';
import { OutputWriter } from './output/writer.ts';
import { parseCommandLine } from './parser.ts';
import { VERSION } from './version.ts';

export interface CliEnvironment {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly currentDirectory: string;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly signal: AbortSignal;
  /** What makes this program run again, before the words of a command line. */
  readonly program: readonly [string, ...string[]];
}

const HELP_WORDS = new Set(['--help', '-h', 'help']);

/** Runs one command line and returns the exit code. Everything that is printed goes through the given streams. */
export async function runCli(environment: CliEnvironment): Promise<number> {
  try {
    const invocation = await parseCommandLine(environment.argv, {
      version: VERSION,
      epilogue: await epilogue(environment),
      columns: Math.min(110, environment.stderr.columns ?? 100),
    });
    if (invocation.kind === 'text') {
      environment.stdout.write(`${invocation.text}\n`);
      return EXIT_CODE.ok;
    }
    return await runCommand(environment, invocation.command, new ParsedArguments(invocation.values));
  } catch (error) {
    const args = new ParsedArguments({ json: environment.argv.includes('--json') });
    const exitCode = exitCodeOf(error);
    (await outputFor(environment, args)).error(error, exitCode);
    return exitCode;
  }
}

async function runCommand(
  environment: CliEnvironment,
  command: CommandDefinition,
  args: ParsedArguments,
): Promise<number> {
  const { prepareSession } = await import('./prepare-session.ts');
  const output = await outputFor(environment, args);
  using progress = new ProgressDisplay({
    mode: progressMode(environment, args),
    stream: environment.stderr,
    now: () => performance.now(),
  });
  output.beforeLine = progress.clear;
  try {
    assertValues(args, { ...GLOBAL_OPTIONS, ...command.options });
    const session = await prepareSession({ ...environment, args, output, onProgress: progress.listen });
    const result = await (await command.load()).run(session);
    if ('items' in result) return await output.stream(result);
    output.result(result);
    return result.exitCode ?? EXIT_CODE.ok;
  } catch (error) {
    if (environment.signal.aborted) {
      output.error(
        new CliError('CLI_INTERRUPTED', command.path, interruptedText(command)),
        EXIT_CODE.interrupted,
      );
      return EXIT_CODE.interrupted;
    }
    const exitCode = exitCodeOf(error);
    output.error(error, exitCode);
    return exitCode;
  }
}

function interruptedText(command: CommandDefinition): string {
  const isTransfer = command.path === 'init' || command.path === 'export';
  return isTransfer ? 'interrupted; nothing that counts as a snapshot was left' : 'interrupted';
}

async function outputFor(environment: CliEnvironment, args: ParsedArguments): Promise<OutputWriter> {
  const { redactorOf } = await import('./redaction.ts');
  return new OutputWriter({
    json: args.boolean('json'),
    quiet: args.boolean('quiet'),
    stdout: environment.stdout,
    stderr: environment.stderr,
    redact: redactorOf(environment.env),
  });
}

function progressMode(environment: CliEnvironment, args: ParsedArguments): ProgressMode {
  const asked = args.string('progress') ?? 'auto';
  if (asked === 'bar' || asked === 'json' || asked === 'none') return asked;
  const show = environment.stderr.isTTY === true && !args.boolean('quiet') && !args.boolean('json');
  return show && environment.env.TERM !== 'dumb' ? 'bar' : 'none';
}

async function epilogue(environment: CliEnvironment): Promise<string> {
  if (!environment.argv.some((word) => HELP_WORDS.has(word))) return '';
  const { findOtherNeon } = await import('./other-neon.ts');
  const other = await findOtherNeon(environment.env);
  const lines = ['Credentials come from the environment, never from flags: see "Credentials" in the README.'];
  if (other !== undefined)
    lines.push(
      `Another program named neon is on your PATH: ${other}. This one is also installed as neon-storage.`,
    );
  return lines.join('\n');
}
