import { BeReader, BeWriter } from './bytes.ts';

/*
 * Value of an aux file key: empty = no file; else u8 version 1, then per file: u32 path length, path, u32 content length, content.
 * More than one file only where two paths have the same hash.
 */

export interface AuxFile {
  /** PGDATA-relative. */
  readonly path: string;
  readonly content: Uint8Array;
}

const VERSION = 1;

export function encodeAuxFiles(files: readonly AuxFile[]): Uint8Array {
  if (files.length === 0) return new Uint8Array(0);
  const writer = new BeWriter().u8(VERSION);
  for (const file of files) {
    const path = new TextEncoder().encode(file.path);
    writer.u32(path.length).bytes(path).u32(file.content.length).bytes(file.content);
  }
  return writer.finish();
}

/** Throws `NEON_LAYER_INVALID_VALUE`. */
export function decodeAuxFiles(bytes: Uint8Array): readonly AuxFile[] {
  if (bytes.length === 0) return [];
  const reader = new BeReader(bytes, 'An aux file value');
  const version = reader.u8();
  if (version !== VERSION) reader.fail(`version ${version}, supported is ${VERSION}`);
  const files: AuxFile[] = [];
  while (reader.remaining > 0) {
    const path = decodePath(reader);
    files.push({ path, content: reader.bytes(reader.u32()) });
  }
  return files;
}

function decodePath(reader: BeReader): string {
  const bytes = reader.bytes(reader.u32());
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return reader.fail('a path is not UTF-8');
  }
}
