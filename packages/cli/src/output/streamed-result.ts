import type { JsonValue } from './writer.ts';

/** One of many things that a command prints: a line for people, a value for programs. */
export interface StreamedItem {
  readonly line: string;
  readonly value: JsonValue;
}

/** What is known when the last item has been printed. */
export interface StreamedEnd {
  readonly lines: readonly string[];
  readonly data: { readonly [key: string]: JsonValue };
  readonly exitCode?: number;
}

/** An outcome that may be larger than memory: its items are printed as they come. */
export interface StreamedResult {
  /** The command in words: `wal show`. */
  readonly command: string;
  /** Field of the JSON object that holds the items' values. */
  readonly listName: string;
  readonly items: AsyncGenerator<StreamedItem, StreamedEnd, undefined>;
}
