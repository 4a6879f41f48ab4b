import { lsn } from '@neon-snapshot/postgres';
import { describe, expect, test } from 'vitest';
import { copySnapshot } from './copy-snapshot.ts';
import { withEnd } from './entry-count.ts';
import type { SnapshotReader, SnapshotWriter } from './format.ts';
import type { ProgressEvent } from './progress.ts';
import type { EndEntry, PlannedFile, SnapshotEntry, SnapshotInfo, SnapshotPartition } from './snapshot.ts';

const INFO: SnapshotInfo = {
  systemIdentifier: 7n,
  postgresMajor: 17,
  catalogVersion: 202406281,
  lsn: lsn(0x2000100n),
  timeLineId: 1,
  dataChecksums: false,
  consistency: { kind: 'consistent' },
  walSegmentSizeBytes: 16 << 20,
  blockSizeBytes: 8192,
  tablespaces: [],
  bytesTotal: 30,
  features: { replicationSlots: [], commitTimestamps: false, statistics: false },
};

type Entry = Exclude<SnapshotEntry, EndEntry>;

function file(path: string, sizeBytes: number, yielded = sizeBytes): Entry {
  async function* body() {
    for (let left = yielded; left > 0; left -= 8) yield new Uint8Array(Math.min(8, left));
  }
  return { kind: 'file', path, sizeBytes, body: body() };
}

async function* stream<T>(...entries: T[]): AsyncGenerator<T, void, undefined> {
  yield* entries;
}

function partitionOf(
  id: string,
  entries: AsyncIterable<SnapshotEntry>,
  plan?: PlannedFile[],
): SnapshotPartition {
  return { id, entries, ...(plan === undefined ? {} : { plan }) };
}

function readerOf(...partitions: SnapshotPartition[]): SnapshotReader {
  return {
    info: INFO,
    partitions: () => partitions,
    finish: async () => ({ controlFile: new Uint8Array(8192) }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** A writer into memory: what it was asked, in order. */
class RecordingWriter implements SnapshotWriter {
  readonly partitionCountMax = 4;
  readonly paths: string[] = [];
  closed = false;
  aborted = 0;

  async writePartition(partition: SnapshotPartition): Promise<void> {
    for await (const entry of partition.entries) {
      if (entry.kind === 'end') continue;
      if (entry.kind === 'file') for await (const chunk of entry.body) void chunk;
      this.paths.push(entry.path);
    }
  }

  async close() {
    this.closed = true;
    return { facts: {}, bytesWritten: 0, objectsWritten: this.paths.length };
  }

  async abort() {
    this.aborted += 1;
  }
}

function copy(writer: SnapshotWriter, ...partitions: SnapshotPartition[]) {
  return copySnapshot({ reader: readerOf(...partitions), writer, concurrency: 4 });
}

describe('a whole snapshot', () => {
  test('is written, closed once and not aborted', async () => {
    const writer = new RecordingWriter();
    const first = partitionOf(
      '0',
      withEnd(stream<Entry>({ kind: 'directory', path: 'base' }, file('PG_VERSION', 3))),
    );
    const second = partitionOf('1', withEnd(stream(file('base/1/2', 20))), [
      { path: 'base/1/2', sizeBytes: 20 },
    ]);
    const result = await copy(writer, first, second);
    expect(writer.paths.toSorted()).toEqual(['PG_VERSION', 'base', 'base/1/2']);
    expect(result.objectsWritten).toBe(3);
    expect([writer.closed, writer.aborted]).toEqual([true, 0]);
  });

  test('is told about in counters that only grow', async () => {
    const events: ProgressEvent[] = [];
    await copySnapshot({
      reader: readerOf(partitionOf('0', withEnd(stream(file('a', 10), file('b', 20))))),
      writer: new RecordingWriter(),
      onProgress: (event) => events.push(event),
      concurrency: 1,
    });
    for (const [index, event] of events.entries()) {
      expect(event.bytesDone).toBeGreaterThanOrEqual(events[index - 1]?.bytesDone ?? 0);
    }
    expect(events.at(-1)).toEqual({ phase: 'publish', bytesDone: 30, bytesTotal: 30, filesDone: 2 });
  });
});

describe('a stream that breaks its contract is never published', () => {
  const end = { kind: 'end', files: 1, directories: 0, links: 0, bytes: 5 } as const;
  const cases: [string, string, () => SnapshotPartition][] = [
    ['has no end entry', 'FORMAT_TRUNCATED', () => partitionOf('0', stream(file('a', 5)))],
    ['is empty', 'FORMAT_TRUNCATED', () => partitionOf('0', stream<SnapshotEntry>())],
    [
      'has fewer files than its end entry says',
      'FORMAT_TRUNCATED',
      () => partitionOf('0', stream<SnapshotEntry>(end)),
    ],
    [
      'has fewer bytes than its end entry says',
      'FORMAT_TRUNCATED',
      () => partitionOf('0', stream<SnapshotEntry>(file('a', 4), end)),
    ],
    [
      'has a body that is too short',
      'FORMAT_TRUNCATED',
      () => partitionOf('0', withEnd(stream(file('a', 10, 9)))),
    ],
    [
      'has a body that is too long',
      'FORMAT_TRUNCATED',
      () => partitionOf('0', withEnd(stream(file('a', 10, 11)))),
    ],
    ['leaves its root', 'FORMAT_INVALID', () => partitionOf('0', withEnd(stream(file('../a', 1))))],
    [
      'has pg_control',
      'FORMAT_INVALID',
      () => partitionOf('0', withEnd(stream(file('global/pg_control', 1)))),
    ],
    [
      'has a link elsewhere',
      'FORMAT_INVALID',
      () => partitionOf('0', withEnd(stream<Entry>({ kind: 'link', path: 'base', target: '/' }))),
    ],
    [
      'goes on after its end',
      'FORMAT_INVALID',
      () => partitionOf('0', stream<SnapshotEntry>(file('a', 5), end, file('b', 1))),
    ],
    [
      'is shorter than its plan',
      'FORMAT_TRUNCATED',
      () => partitionOf('0', withEnd(stream<Entry>()), [{ path: 'a', sizeBytes: 1 }]),
    ],
    [
      'differs from its plan',
      'FORMAT_INVALID',
      () => partitionOf('0', withEnd(stream(file('b', 1))), [{ path: 'a', sizeBytes: 1 }]),
    ],
  ];

  test.each(cases)('one that %s: %s', async (_, code, make) => {
    const writer = new RecordingWriter();
    await expect(copy(writer, make())).rejects.toMatchObject({ code });
    expect([writer.closed, writer.aborted]).toEqual([false, 1]);
  });

  test('a writer that leaves a partition early does not publish it', async () => {
    const writer = new RecordingWriter();
    writer.writePartition = async () => undefined;
    await expect(copy(writer, partitionOf('0', withEnd(stream(file('a', 1)))))).rejects.toMatchObject({
      code: 'FORMAT_TRUNCATED',
    });
    expect(writer.aborted).toBe(1);
  });

  test('a writer that does not drain a body does not publish it', async () => {
    const writer = new RecordingWriter();
    writer.writePartition = async (partition) => {
      for await (const entry of partition.entries) void entry;
    };
    await expect(copy(writer, partitionOf('0', withEnd(stream(file('a', 1)))))).rejects.toMatchObject({
      code: 'FORMAT_INVALID',
    });
  });
});

describe('failures', () => {
  async function* endless(): AsyncGenerator<Entry, void, undefined> {
    for (let index = 0; ; index++) {
      await new Promise((resolve) => setImmediate(resolve));
      yield file(`f${index}`, 8);
    }
  }

  test('of one partition stop the others, and the first error is the one that rejects', async () => {
    const writer = new RecordingWriter();
    const broken = partitionOf('1', withEnd(stream(file('a', 10, 9))));
    await expect(copy(writer, partitionOf('0', withEnd(endless())), broken)).rejects.toMatchObject({
      code: 'FORMAT_TRUNCATED',
    });
    expect(writer.aborted).toBe(1);
  });

  test('by signal reject with FORMAT_ABORTED after the writer was aborted', async () => {
    const writer = new RecordingWriter();
    const controller = new AbortController();
    const copying = copySnapshot({
      reader: readerOf(partitionOf('0', withEnd(endless()))),
      writer,
      signal: controller.signal,
      onProgress: (event) => {
        if (event.filesDone === 10) controller.abort();
      },
      concurrency: 1,
    });
    await expect(copying).rejects.toMatchObject({ code: 'FORMAT_ABORTED' });
    expect([writer.closed, writer.aborted]).toEqual([false, 1]);
  });

  test('of the trailer abort the writer', async () => {
    const writer = new RecordingWriter();
    const reader = readerOf(partitionOf('0', withEnd(stream<Entry>())));
    reader.finish = async () => {
      throw new Error('gone');
    };
    await expect(copySnapshot({ reader, writer, concurrency: 1 })).rejects.toThrow('gone');
    expect([writer.closed, writer.aborted]).toEqual([false, 1]);
  });
});
