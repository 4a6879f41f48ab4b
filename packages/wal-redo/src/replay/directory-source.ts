import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import {
  BLCKSZ,
  formatRelationPath,
  RELSEG_BLOCKS,
  type RelTag,
  type WalSource,
  walSegmentFileName,
} from '@neon-snapshot/postgres';
import type { PageSource } from './page-ranges.ts';

/** Pages of a stopped cluster's data directory, which is only read. Tablespaces other than the two default ones have none. */
export class DirectorySource implements PageSource, Disposable {
  readonly #directory: string;
  readonly #files = new Map<string, number | undefined>();

  constructor(dataDirectory: string) {
    this.#directory = dataDirectory;
  }

  readBlocks(tag: RelTag, firstBlock: number, into: Uint8Array): void {
    const file = this.#open(formatRelationPath(tag, Math.floor(firstBlock / RELSEG_BLOCKS)));
    if (file === undefined) return;
    const position = (firstBlock % RELSEG_BLOCKS) * BLCKSZ;
    for (let done = 0; done < into.length; ) {
      const count = readSync(file, into, done, into.length - done, position + done);
      if (count === 0) return;
      done += count;
    }
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) if (file !== undefined) closeSync(file);
    this.#files.clear();
  }

  #open(path: string): number | undefined {
    if (!this.#files.has(path)) {
      const full = join(this.#directory, path);
      this.#files.set(path, existsSync(full) ? openSync(full, 'r') : undefined);
    }
    return this.#files.get(path);
  }
}

export interface WalDirectory {
  readonly directory: string;
  readonly major: number;
  readonly timeLineId: number;
  readonly segmentSize: number;
  readonly systemIdentifier: bigint;
}

/** The segments of one timeline in a directory. */
export function walOfDirectory(wal: WalDirectory): WalSource {
  const { directory, major, timeLineId, segmentSize, systemIdentifier } = wal;
  const spare: Uint8Array<ArrayBufferLike>[] = [];
  return {
    major,
    segmentSize,
    systemIdentifier,
    segment: (segno) => {
      const path = join(directory, walSegmentFileName(timeLineId, segno, segmentSize));
      return existsSync(path) ? readWhole(path, spare.pop() ?? new Uint8Array(segmentSize)) : undefined;
    },
    recycle: ({ buffer }) => {
      if (buffer.byteLength === segmentSize) spare.push(new Uint8Array(buffer));
    },
  };
}

/** As much of a file as there is room for. */
function readWhole(path: string, into: Uint8Array): Uint8Array {
  const file = openSync(path, 'r');
  try {
    let done = 0;
    for (let count = 1; count > 0 && done < into.length; done += count) {
      count = readSync(file, into, done, into.length - done, done);
    }
    return into.subarray(0, done);
  } finally {
    closeSync(file);
  }
}
