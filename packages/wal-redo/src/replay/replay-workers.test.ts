import { join } from 'node:path';
import { BLCKSZ, isPostgresFormatError, lsn } from '@neon-snapshot/postgres';
import { findPostgres } from '@neon-snapshot/postgres-process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BasePages } from '../testing/base-pages.ts';
import type { RedoCluster } from '../testing/redo-cluster.ts';
import { engineFor, makeHarnessCluster } from '../testing/redo-harness.ts';
import { replayWal } from '../testing/replay-wal.ts';
import { type ReplayDirectoryOptions, replayDirectory } from './replay-workers.ts';

describe('replay by worker threads', () => {
  let cluster: RedoCluster;

  beforeAll(async () => {
    const installation = await findPostgres({ major: 16 });
    const workload = { scale: 0.1, rounds: 1, special: true, checkpoints: true };
    cluster = await makeHarnessCluster({ ...workload, installation });
  }, 120_000);

  afterAll(() => cluster[Symbol.asyncDispose]());

  function optionsFor(workers: number): ReplayDirectoryOptions {
    return {
      engine: { major: 16, heapLayout: 'stock', hintBitsLogged: false },
      dataDirectory: cluster.baseDirectory,
      wal: {
        directory: join(cluster.dataDirectory, 'pg_wal'),
        major: 16,
        timeLineId: 1,
        segmentSize: cluster.control.walSegmentSizeBytes,
        systemIdentifier: cluster.control.systemIdentifier,
      },
      start: cluster.start,
      workers,
    };
  }

  it.each([1, 3])('gives with %i of them the pages that records give one by one', async (workers) => {
    const expected = new BasePages(cluster.baseDirectory);
    const counts = replayWal(cluster, { engine: engineFor(cluster), pages: expected });
    const result = await replayDirectory(optionsFor(workers));
    expect(result).toMatchObject(counts);
    const pages = new Map<string, Uint8Array>();
    for (const { tag, firstBlock, bytes, touched } of result.ranges) {
      for (let index = 0; index < bytes.length / BLCKSZ; index++) {
        if ((touched & (1 << index)) === 0) continue;
        const { spcNode, dbNode, relNode, forkNum } = tag;
        const key = `${spcNode}/${dbNode}/${relNode}/${forkNum} ${firstBlock + index}`;
        pages.set(key, bytes.subarray(index * BLCKSZ, (index + 1) * BLCKSZ));
      }
    }
    for (const [relation, { pages: touched }] of expected.relations) {
      for (const [block, page] of touched) {
        const key = `${relation} ${block}`;
        expect(Buffer.compare(page, pages.get(key) ?? new Uint8Array(0)), key).toBe(0);
        pages.delete(key);
      }
    }
    expect(pages.size).toBe(0);
  });

  it('throws the typed error of a thread', async () => {
    const end = lsn(cluster.start + (1n << 40n));
    const failure = await replayDirectory({ ...optionsFor(2), end }).catch((error: unknown) => error);
    expect(isPostgresFormatError(failure) && failure.code).toBe('POSTGRES_WAL_INCOMPLETE');
  });

  it('stops for an aborted signal', async () => {
    const controller = new AbortController();
    const replay = replayDirectory({ ...optionsFor(2), signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(replay).rejects.toThrow('enough');
  });
});
