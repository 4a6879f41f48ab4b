import type { NeonLayerErrorCode } from './layer-error.ts';
import { NeonLayerError } from './layer-error.ts';

/** A JSON object as parsed: own properties only. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * `JSON.rawJSON` and the reviver's third argument, in V8 since Node 21: numbers that JavaScript would change (u64 above
 * 2^53, `1.0`) stay as they were written. TypeScript's library does not declare them yet.
 */
interface ExactJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}

/** Parses and prints one kind of document; every fault is an error with its code. */
export class JsonDocument {
  readonly #what: string;
  readonly #code: NeonLayerErrorCode;

  constructor(what: string, code: NeonLayerErrorCode) {
    this.#what = what;
    this.#code = code;
  }

  /** The top-level object of UTF-8 JSON of at most `sizeMaxBytes`. */
  parse(bytes: Uint8Array, sizeMaxBytes: number): JsonObject {
    if (bytes.length > sizeMaxBytes) this.fail(`its ${bytes.length} bytes pass the limit of ${sizeMaxBytes}`);
    const exact = JSON as unknown as ExactJson;
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      const value = exact.parse(text, (_, item, { source }) =>
        typeof item === 'number' && source !== undefined && String(item) !== source
          ? exact.rawJSON(source)
          : item,
      );
      return this.object(value, 'the document');
    } catch (cause) {
      if (cause instanceof NeonLayerError) throw cause;
      return this.fail(cause instanceof Error ? cause.message : 'it is no JSON');
    }
  }

  encode(value: JsonObject): Uint8Array {
    return new TextEncoder().encode(JSON.stringify(value));
  }

  object(value: unknown, where: string): JsonObject {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.fail(`${where} is no object`);
    }
    return value as JsonObject;
  }

  list(value: unknown, where: string): readonly unknown[] {
    return Array.isArray(value) ? value : this.fail(`${where} is no list`);
  }

  string(value: unknown, where: string): string {
    return typeof value === 'string' ? value : this.fail(`${where} is no text`);
  }

  optionalString(value: unknown, where: string): string | undefined {
    return value === undefined || value === null ? undefined : this.string(value, where);
  }

  /** An integer from 0 to `max`; a u64 above 2^53 - 1 is refused, never rounded. */
  integer(value: unknown, where: string, max: number = Number.MAX_SAFE_INTEGER): number {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
      return this.fail(`${where} is no integer from 0 to ${max}`);
    }
    return value;
  }

  /** Runs a parser of another part; its error becomes the cause of this document's. */
  nested<T>(where: string, parse: () => T): T {
    try {
      return parse();
    } catch (cause) {
      return this.fail(`${where}: ${cause instanceof Error ? cause.message : 'is not valid'}`, cause);
    }
  }

  fail(reason: string, cause?: unknown): never {
    throw new NeonLayerError({
      code: this.#code,
      operation: 'parse',
      message: `${this.#what} is not valid: ${reason}.`,
      cause,
    });
  }
}
