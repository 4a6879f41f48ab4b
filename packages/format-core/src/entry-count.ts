import type { EndEntry, SnapshotEntry } from './snapshot.ts';

/** What an end entry carries: how much one partition yielded. */
export interface EntryCounts {
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  /** Sum of the sizes of the files. */
  readonly bytes: number;
}

/** Counts entries as they pass. */
export class EntryCounter implements EntryCounts {
  files = 0;
  directories = 0;
  links = 0;
  bytes = 0;

  add(entry: Exclude<SnapshotEntry, EndEntry>): void {
    if (entry.kind === 'directory') this.directories += 1;
    else if (entry.kind === 'link') this.links += 1;
    else {
      this.files += 1;
      this.bytes += entry.sizeBytes;
    }
  }

  /** The end entry for what was counted. */
  end(): EndEntry {
    const { files, directories, links, bytes } = this;
    return { kind: 'end', files, directories, links, bytes };
  }
}

/** True when both say the same. */
export function sameCounts(a: EntryCounts, b: EntryCounts): boolean {
  return a.files === b.files && a.directories === b.directories && a.links === b.links && a.bytes === b.bytes;
}

/**
 * A reader's entries followed by the end entry that counts them. Where `entries` throws, no end entry comes: that is how a
 * writer knows the stream as truncated.
 */
export async function* withEnd(
  entries: AsyncIterable<Exclude<SnapshotEntry, EndEntry>>,
): AsyncGenerator<SnapshotEntry, void, undefined> {
  const counter = new EntryCounter();
  for await (const entry of entries) {
    counter.add(entry);
    yield entry;
  }
  yield counter.end();
}
