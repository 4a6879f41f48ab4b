import { type Lsn, lsn as toLsn } from '@neon-snapshot/postgres';
import { blobAt, type FetchedUnit, hasImage, nameValue } from './fetch-unit.ts';
import type { PageDecompressor } from './page-decompressor.ts';
import { lastSegment } from './remote-path.ts';
import { decodeValue, type Value, willInit } from './value.ts';
import { valueSizeMax } from './value-limit.ts';

/** Where a part of a key's state is stored. */
export interface ChainPlace {
  /** Of an image layer: its LSN. */
  readonly lsn: Lsn;
  /** Name of the layer file, generation included. */
  readonly layer: string;
  /** Bytes in the layer; a gap behind the value may be part of it. */
  readonly storedBytes: number;
}

/** What the state of one key at an LSN is made from. */
export interface KeyChain {
  /** From an image layer; absent where there is none or the changes need none. */
  readonly image: (ChainPlace & { readonly value: Uint8Array }) | undefined;
  /** From delta layers, oldest first. Only the first can be an image or a record that needs no older state. */
  readonly changes: readonly (ChainPlace & { readonly value: Value; readonly willInit: boolean })[];
}

/** Decodes what was fetched for a unit of one key. */
export function decodeChain(fetched: FetchedUnit, decompressor: PageDecompressor): KeyChain {
  return { image: decodeImage(fetched, decompressor), changes: decodeChanges(fetched, decompressor) };
}

function decodeImage(fetched: FetchedUnit, decompressor: PageDecompressor): KeyChain['image'] {
  const { unit } = fetched;
  const file = unit.files[unit.fileIndexes[0] ?? 0];
  if (!hasImage(fetched, 0) || file === undefined) return undefined;
  const blob = blobAt(fetched, 0);
  try {
    return {
      lsn: file.desc.lsnStart,
      layer: lastSegment(file.objectKey),
      storedBytes: blob.length,
      value: decompressor.decodeBlob(blob, { sizeMaxBytes: valueSizeMax(unit.keys) }),
    };
  } catch (error) {
    throw nameValue(error, fetched, 0);
  }
}

function decodeChanges({ unit, changes }: FetchedUnit, decompressor: PageDecompressor): KeyChain['changes'] {
  const places = (unit.changes.get(0) ?? []).toReversed();
  let offset = 0;
  return places.map(({ file }, index) => {
    const storedBytes = changes?.lengths[index] ?? 0;
    const blob = (changes?.blobs ?? new Uint8Array()).subarray(offset, offset + storedBytes);
    offset += storedBytes;
    const value = decodeValue(decompressor.decodeBlob(blob));
    return {
      lsn: toLsn(changes?.lsns[index] ?? 0n),
      layer: lastSegment(file.objectKey),
      storedBytes,
      value,
      willInit: willInit(value),
    };
  });
}
