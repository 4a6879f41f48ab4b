import type { Storage } from '@neon-snapshot/storage-core';
import type { JsonValue } from '../output/writer.ts';

/** The one object that is looked at. */
export interface InspectTarget {
  readonly storage: Storage;
  readonly key: string;
  /** Path of the object as it was given, for names that only a path tells: `…/base/5/1259`. */
  readonly path: string;
  readonly sizeBytes: number;
  /** The first bytes of the object, at most {@link HEAD_BYTES}. */
  readonly head: Uint8Array;
  /** Block of a relation file. */
  readonly block: number;
  /** Records, entries or nodes to show at most. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** What an inspector found: the same for people and for programs. */
export interface Inspection {
  readonly lines: readonly string[];
  readonly data: { readonly [key: string]: JsonValue };
  /** What is wrong with an object that could be explained all the same. */
  readonly damage?: string;
}

export type Inspector = (target: InspectTarget) => Promise<Inspection>;

/** Enough of an object to tell what it is. */
export const HEAD_BYTES = 8192;
