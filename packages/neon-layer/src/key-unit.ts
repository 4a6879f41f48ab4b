import { describeKey } from './describe-key.ts';
import { KEY_SIZE, keyToHex } from './key.ts';
import type { Change } from './key-changes.ts';
import { NeonLayerError } from './layer-error.ts';
import type { EntrySlice, LayerFile } from './layer-file.ts';
import { READ_BYTES_MAX } from './read-plan.ts';

/** Keys of one unit at most. */
const UNIT_KEYS_MAX = 2048;
/** Layers that one unit takes values from at most. */
const UNIT_FILES_MAX = 64;
/** Stored bytes of one key's changes at most: they come into memory at once. */
const CHANGES_BYTES_MAX = 512 * 1024 * 1024;
/** In `offsets`: the key has no image, or its changes need none. */
export const NO_IMAGE = -1;

/** Consecutive keys and where their state lies, in arrays: what is fetched at once. */
export interface KeyUnit {
  readonly count: number;
  /** `count` × 18 bytes. */
  readonly keys: Uint8Array;
  /** Image layers that values come from. */
  readonly files: readonly LayerFile[];
  /** Index into `files`, for each key with an image. */
  readonly fileIndexes: Uint8Array;
  /** Where the blob of the image begins in its file, or {@link NO_IMAGE}. */
  readonly offsets: Float64Array;
  /** Where it ends at the latest. */
  readonly ends: Float64Array;
  /** By position, for the keys that delta layers changed; newest first. */
  readonly changes: ReadonlyMap<number, readonly Change[]>;
  /** Bytes to fetch. */
  readonly storedBytes: number;
}

/** Which keys of a range are wanted: looks at the 18 bytes at `offset`. */
export type KeyFilter = (keys: Uint8Array, offset: number) => boolean;

/** Collects keys until a unit is full. */
export class KeyUnitBuilder {
  readonly #filter: KeyFilter;
  readonly #keysMax: number;
  readonly #keys: Uint8Array;
  readonly #fileIndexes: Uint8Array;
  readonly #offsets: Float64Array;
  readonly #ends: Float64Array;
  #files: LayerFile[] = [];
  #changes = new Map<number, readonly Change[]>();
  #count = 0;
  #storedBytes = 0;

  constructor(filter: KeyFilter, keysMax: number = UNIT_KEYS_MAX) {
    this.#filter = filter;
    this.#keysMax = keysMax;
    this.#keys = new Uint8Array(keysMax * KEY_SIZE);
    this.#fileIndexes = new Uint8Array(keysMax);
    this.#offsets = new Float64Array(keysMax);
    this.#ends = new Float64Array(keysMax);
  }

  get isFull(): boolean {
    return (
      this.#count >= this.#keysMax ||
      this.#storedBytes >= READ_BYTES_MAX ||
      this.#files.length > UNIT_FILES_MAX
    );
  }

  /** Takes image entries `[from, to)` of a slice; returns the first one that did not fit. */
  addImages(
    file: LayerFile,
    slice: EntrySlice,
    { from, to }: { readonly from: number; readonly to: number },
  ): number {
    let offset = file.offsetAt(slice, from);
    for (let i = from; i < to; i += 1) {
      if (this.isFull) return i;
      const end = file.endOffsetAt(slice, i);
      slice.leaf.copyKey(i, this.#keys, this.#count * KEY_SIZE, KEY_SIZE);
      if (this.#filter(this.#keys, this.#count * KEY_SIZE)) this.#push(this.#indexOf(file), offset, end);
      offset = end;
    }
    return to;
  }

  /** Takes a key that delta layers changed, with the image below, if there is one. */
  addChanged(
    key: Uint8Array,
    changes: readonly Change[],
    image?: { readonly file: LayerFile; readonly slice: EntrySlice; readonly index: number },
  ): void {
    this.#keys.set(key, this.#count * KEY_SIZE);
    if (!this.#filter(this.#keys, this.#count * KEY_SIZE)) return;
    this.#changes.set(this.#count, changes);
    const sizeBytes = changes.reduce((sum, { length }) => sum + length, 0);
    if (sizeBytes > CHANGES_BYTES_MAX) throw tooManyChanges(key, sizeBytes);
    this.#storedBytes += sizeBytes;
    if (image === undefined || changes.at(-1)?.willInit === true) {
      this.#push(0, NO_IMAGE, NO_IMAGE);
      return;
    }
    const { file, slice, index } = image;
    this.#push(this.#indexOf(file), file.offsetAt(slice, index), file.endOffsetAt(slice, index));
  }

  /** The unit so far, or undefined when it is empty; the builder starts anew. */
  take(): KeyUnit | undefined {
    if (this.#count === 0) return undefined;
    const unit: KeyUnit = {
      count: this.#count,
      keys: this.#keys.slice(0, this.#count * KEY_SIZE),
      files: this.#files,
      fileIndexes: this.#fileIndexes.slice(0, this.#count),
      offsets: this.#offsets.slice(0, this.#count),
      ends: this.#ends.slice(0, this.#count),
      changes: this.#changes,
      storedBytes: this.#storedBytes,
    };
    this.#files = [];
    this.#changes = new Map();
    this.#count = 0;
    this.#storedBytes = 0;
    return unit;
  }

  #push(fileIndex: number, offset: number, end: number): void {
    this.#fileIndexes[this.#count] = fileIndex;
    this.#offsets[this.#count] = offset;
    this.#ends[this.#count] = end;
    this.#count += 1;
    this.#storedBytes += end - offset;
  }

  #indexOf(file: LayerFile): number {
    const last = this.#files.length - 1;
    if (this.#files[last] === file) return last;
    return this.#files.push(file) - 1;
  }
}

function tooManyChanges(key: Uint8Array, sizeBytes: number): NeonLayerError {
  return new NeonLayerError({
    code: 'NEON_LAYER_TOO_LARGE',
    operation: 'read',
    message: `The WAL records of ${describeKey(key)} have ${sizeBytes} bytes, at most ${CHANGES_BYTES_MAX} can be applied: the timeline needs compaction.`,
    context: { key: keyToHex(key), sizeBytes },
  });
}
