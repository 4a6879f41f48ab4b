import { once } from 'node:events';
import { EXIT_CODE } from '../exit-code.ts';
import type { StreamedEnd, StreamedResult } from './streamed-result.ts';

/** Text that is collected before it is written. */
const STREAM_CHUNK_CHARACTERS = 64 * 1024;

/** The version of every `--json` result; it changes when a field is removed or changes its meaning. */
export const JSON_RESULT_VERSION = 1;

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Takes secrets out of a text before it is printed. */
  readonly redact: (text: string) => string;
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** A command's outcome: the same facts for people and for programs. */
export interface CommandResult {
  /** The command in words: `snapshot ls`. */
  readonly command: string;
  readonly lines: readonly string[];
  readonly data: { readonly [key: string]: JsonValue };
  /** 0 unless the command succeeded in finding something wrong. */
  readonly exitCode?: number;
}

/**
 * The only place that writes to the terminal. Results go to stdout; progress, warnings and errors to stderr, so that a
 * pipe gets the result alone.
 */
export class OutputWriter {
  readonly #options: OutputOptions;
  #beforeLine: (() => void) | undefined;
  /** A JSON result of {@link stream} is written up to the inside of its list. */
  #isListOpen = false;

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  /** Called before any line is written to stderr, so that a progress bar can clear itself. */
  set beforeLine(hook: (() => void) | undefined) {
    this.#beforeLine = hook;
  }

  result(result: CommandResult): void {
    this.#beforeLine?.();
    const text = this.#options.json
      ? JSON.stringify({ version: JSON_RESULT_VERSION, command: result.command, ...result.data })
      : result.lines.join('\n');
    if (text !== '' && !(this.#options.quiet && !this.#options.json && result.exitCode === undefined)) {
      this.#options.stdout.write(`${this.#options.redact(text)}\n`);
    }
  }

  /**
   * Prints items as they come, as fast as stdout takes them; returns the exit code. In JSON it is one object as ever, with one
   * line for each item; where the items fail it ends with `error` instead of the other fields.
   */
  async stream(result: StreamedResult): Promise<number> {
    const { json, quiet } = this.#options;
    const lines: string[] = [];
    let pending = 0;
    if (json) {
      const head = JSON.stringify({ version: JSON_RESULT_VERSION, command: result.command }).slice(0, -1);
      this.#options.stdout.write(`${head},${JSON.stringify(result.listName)}:[\n`);
      this.#isListOpen = true;
    }
    try {
      for (let isFirst = true; ; isFirst = false) {
        const { done, value } = await result.items.next();
        if (done === true) {
          await this.#flush(lines);
          return this.#endStream(value);
        }
        if (quiet && !json) continue;
        const line = json ? `${isFirst ? '' : ','}${JSON.stringify(value.value)}` : value.line;
        pending += line.length;
        lines.push(line);
        if (pending >= STREAM_CHUNK_CHARACTERS) {
          await this.#flush(lines);
          pending = 0;
        }
      }
    } catch (error) {
      await this.#flush(lines);
      throw error;
    }
  }

  warn(message: string): void {
    this.#beforeLine?.();
    const text = this.#options.redact(message);
    this.#options.stderr.write(
      this.#options.json ? `${JSON.stringify({ event: 'warning', message: text })}\n` : `warning: ${text}\n`,
    );
  }

  /** One line about what is being done; left out with `--quiet` and `--json`. */
  note(message: string): void {
    if (this.#options.quiet || this.#options.json) return;
    this.#beforeLine?.();
    this.#options.stderr.write(`${this.#options.redact(message)}\n`);
  }

  /** A piece of a result that comes bit by bit. */
  text(text: string): void {
    this.#options.stdout.write(this.#options.redact(text));
  }

  /** One JSON object a line on stderr, whatever the output is: what a process that stays has to tell. */
  event(event: Readonly<Record<string, unknown>>): void {
    this.#beforeLine?.();
    this.#options.stderr.write(`${this.#options.redact(JSON.stringify(event, stringifyBigint))}\n`);
  }

  error(error: unknown, exitCode: number): void {
    this.#beforeLine?.();
    const message = this.#options.redact(messageOf(error));
    if (this.#options.json) {
      const fault = { ...describeError(error), message, exitCode };
      if (this.#isListOpen) {
        this.#endList({ error: fault });
        return;
      }
      const body = { version: JSON_RESULT_VERSION, error: fault };
      this.#options.stdout.write(`${this.#options.redact(JSON.stringify(body))}\n`);
      return;
    }
    const code = codeOf(error);
    if (code === undefined && error instanceof Error && exitCode === EXIT_CODE.failed) {
      // Nobody foresaw it, so the place is what helps.
      const stack = this.#options.redact(error.stack ?? message);
      this.#options.stderr.write(`neon: a failure that neon did not expect: ${stack}\n`);
      return;
    }
    const suffix = code === undefined || exitCode === EXIT_CODE.usage ? '' : ` [${code}]`;
    this.#options.stderr.write(`neon: ${message}${suffix}\n`);
  }

  #endStream({ lines, data, exitCode }: StreamedEnd): number {
    if (this.#options.json) this.#endList(data);
    else if (lines.length > 0 && !(this.#options.quiet && exitCode === undefined))
      this.#options.stdout.write(`${this.#options.redact(lines.join('\n'))}\n`);
    return exitCode ?? EXIT_CODE.ok;
  }

  #endList(fields: { readonly [key: string]: JsonValue }): void {
    this.#isListOpen = false;
    const rest = JSON.stringify(fields).slice(1);
    this.#options.stdout.write(`]${rest === '}' ? '' : ','}${this.#options.redact(rest)}\n`);
  }

  /** Waits while stdout takes no more. */
  async #flush(lines: string[]): Promise<void> {
    if (lines.length === 0) return;
    const text = `${this.#options.redact(lines.join('\n'))}\n`;
    lines.length = 0;
    if (!this.#options.stdout.write(text)) await once(this.#options.stdout, 'drain');
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function describeError(error: unknown): { readonly [key: string]: JsonValue } {
  if (!(error instanceof Error)) return {};
  const context =
    'context' in error && typeof error.context === 'object' && error.context !== null ? error.context : {};
  const operation =
    'operation' in error && typeof error.operation === 'string' ? { operation: error.operation } : {};
  return {
    code: codeOf(error) ?? 'INTERNAL',
    ...operation,
    context: JSON.parse(JSON.stringify(context, stringifyBigint)) as JsonValue,
  };
}

function stringifyBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
