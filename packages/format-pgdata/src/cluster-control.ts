import { FormatError, fileFault } from '@neon-snapshot/format-core';
import {
  BLCKSZ,
  CONTROL_FILE_SIZE,
  type ControlFile,
  decodeControlFile,
  majorOfCatalogVersion,
  RELSEG_BLOCKS,
} from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import { CONTROL_FILE_PATH, PG_VERSION_PATH } from './data-directory-layout.ts';
import { readObject } from './read-object.ts';

/** `global/pg_control` of a data directory, checked, with the bytes it came from. */
export interface ClusterControl {
  /** 8192 bytes. */
  readonly bytes: Uint8Array;
  readonly controlFile: ControlFile;
  readonly postgresMajor: number;
}

const PG_VERSION_SIZE_MAX_BYTES = 64;

/**
 * Reads and checks pg_control against itself and against `PG_VERSION`. `FORMAT_NOT_FOUND`, `FORMAT_TRUNCATED`,
 * `FORMAT_CHECKSUM`, `FORMAT_INVALID`, `FORMAT_UNKNOWN_VERSION`, or `FORMAT_UNSUPPORTED` for another block size.
 */
export async function readClusterControl(
  storage: Storage,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<ClusterControl> {
  const bytes = await readControlBytes(storage, options);
  const controlFile = decode(bytes, storage);
  const postgresMajor = majorOfCatalogVersion(controlFile.catalogVersion);
  const versionBytes = await readObject(storage, PG_VERSION_PATH, {
    ...options,
    sizeMaxBytes: PG_VERSION_SIZE_MAX_BYTES,
    hint: 'it is no data directory',
  });
  const version = new TextDecoder().decode(versionBytes).trim();
  if (version !== `${postgresMajor}`) {
    throw new FormatError({
      code: 'FORMAT_INVALID',
      operation: `read ${PG_VERSION_PATH}`,
      message: `${PG_VERSION_PATH} in ${storage.url} says ${JSON.stringify(version)}, but pg_control belongs to Postgres ${postgresMajor}`,
    });
  }
  assertBlockSizes(controlFile, storage);
  return { bytes, controlFile, postgresMajor };
}

export function readControlBytes(
  storage: Storage,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  return readObject(storage, CONTROL_FILE_PATH, {
    ...options,
    sizeMaxBytes: CONTROL_FILE_SIZE,
    hint: 'it is no data directory, or one whose making was interrupted',
  });
}

function decode(bytes: Uint8Array, storage: Storage): ControlFile {
  try {
    const controlFile = decodeControlFile(bytes);
    if (bytes.length === CONTROL_FILE_SIZE) return controlFile;
  } catch (error) {
    throw fileFault(error, { path: CONTROL_FILE_PATH, url: storage.url });
  }
  throw new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: `read ${CONTROL_FILE_PATH}`,
    message: `${CONTROL_FILE_PATH} in ${storage.url} has ${bytes.length} bytes, expected ${CONTROL_FILE_SIZE}`,
  });
}

function assertBlockSizes(controlFile: ControlFile, storage: Storage): void {
  const { blockSizeBytes, relationSegmentBlocks } = controlFile;
  if (blockSizeBytes === BLCKSZ && relationSegmentBlocks === RELSEG_BLOCKS) return;
  throw new FormatError({
    code: 'FORMAT_UNSUPPORTED',
    operation: `read ${CONTROL_FILE_PATH}`,
    message: `${storage.url} has blocks of ${blockSizeBytes} bytes and relation segments of ${relationSegmentBlocks} blocks; only ${BLCKSZ} and ${RELSEG_BLOCKS} are supported`,
    context: { blockSizeBytes, relationSegmentBlocks },
  });
}
