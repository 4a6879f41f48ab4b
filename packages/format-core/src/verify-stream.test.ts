import { createPageChecksums, lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { withEnd } from './entry-count.ts';
import type { SnapshotReader } from './format.ts';
import { FormatError } from './format-error.ts';
import type { FileEntry } from './snapshot.ts';
import { VERIFY_FINDINGS_MAX, VerifyCollector } from './verification.ts';
import { verifyStream } from './verify-stream.ts';

/** Empty heap pages with valid checksums. */
function pages(count: number, firstBlock = 0): Uint8Array {
  const checksums = createPageChecksums({ pagesMax: count });
  for (let page = 0; page < count; page += 1) {
    const view = new DataView(checksums.buffer.buffer, checksums.buffer.byteOffset + page * 8192, 24);
    view.setUint16(12, 24, true);
    view.setUint16(14, 8192, true);
    view.setUint16(16, 8192, true);
    view.setUint16(18, 8196, true);
  }
  checksums.stamp(count, firstBlock);
  return Uint8Array.from(checksums.buffer);
}

function reader(files: Readonly<Record<string, Uint8Array>>, failAt?: string): SnapshotReader {
  const entries = async function* (): AsyncGenerator<FileEntry> {
    for (const [path, bytes] of Object.entries(files)) {
      const body = (async function* () {
        if (path === failAt) {
          const context = { path };
          throw new FormatError({ code: 'FORMAT_TRUNCATED', operation: 'read', message: 'cut off', context });
        }
        yield Uint8Array.from(bytes);
      })();
      yield { kind: 'file', path, sizeBytes: bytes.length, body };
    }
  };
  return {
    info: {
      systemIdentifier: 1n,
      postgresMajor: 17,
      catalogVersion: 202406281,
      lsn: lsn(1n),
      timeLineId: 1,
      dataChecksums: true,
      consistency: { kind: 'consistent' },
      walSegmentSizeBytes: 16 * 1024 * 1024,
      blockSizeBytes: 8192,
      tablespaces: [],
      features: { replicationSlots: [], commitTimestamps: false, statistics: false },
    },
    partitions: () => [{ id: '0', entries: withEnd(entries()) }],
    finish: async () => ({ controlFile: new Uint8Array(8192) }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function verify(source: SnapshotReader, checkPages = true) {
  const collector = new VerifyCollector();
  await verifyStream(source, { collector, checkPages });
  return collector.report();
}

describe('a snapshot that is read to be verified', () => {
  it('has nothing to find where all is well, and counts what was seen', async () => {
    const found = await verify(reader({ 'base/5/1259': pages(300), PG_VERSION: new Uint8Array(3) }));
    expect(found).toEqual({
      findings: [],
      errorCount: 0,
      warningCount: 0,
      counts: { files: 2, bytes: 300 * 8192 + 3, pages: 300 },
    });
  });

  it('names the pages whose checksum or header is wrong, by block of the relation', async () => {
    const bad = pages(300, 131_072);
    bad[200 * 8192 + 4000] = 1;
    bad[299 * 8192 + 10] = 0xf0;
    const { findings } = await verify(reader({ 'base/5/1259': pages(1), 'base/5/2600.1': bad }));
    expect(findings).toMatchObject([
      { code: 'PAGE_CHECKSUM', path: 'base/5/2600.1', message: expect.stringContaining('block 131272 of') },
      { code: 'PAGE_HEADER', path: 'base/5/2600.1', message: expect.stringContaining('block 131371 of') },
    ]);
  });

  it('does not look at pages unless it is asked to', async () => {
    const bad = pages(2).fill(0xff, 0, 100);
    expect((await verify(reader({ 'base/5/1259': bad }), false)).findings).toEqual([]);
  });

  it('takes a stream that breaks off as a finding', async () => {
    const { findings, errorCount } = await verify(reader({ 'base/5/1259': pages(1) }, 'base/5/1259'));
    expect(errorCount).toBe(1);
    expect(findings).toEqual([
      {
        severity: 'error',
        code: 'UNREADABLE',
        path: 'base/5/1259',
        message: 'cut off [FORMAT_TRUNCATED]',
      },
    ]);
  });

  it('lists so many findings and counts the rest', async () => {
    const count = VERIFY_FINDINGS_MAX + 10;
    const bad = new Uint8Array(count * 8192).fill(0xee);
    const report = await verify(reader({ 'base/5/1259': bad }));
    expect(report.findings).toHaveLength(VERIFY_FINDINGS_MAX);
    expect(report.errorCount).toBe(count);
  });
});
