import { CHECKPOINT_KEY, compareKeys } from '@neon-snapshot/neon-layer';
import { encodeCheckPoint, type Lsn, lsn, stockCheckPoint, ZERO_LSN } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { MADE_MAJOR, MADE_SEGMENT_SIZE, MADE_SYSTEM_IDENTIFIER, MadeWal } from '../testing/made-wal.ts';
import { type IngestBackupWalRequest, ingestBackupWal } from './ingest-backup-wal.ts';

const START = lsn(0x300028n);
const CHECK_POINT = encodeCheckPoint(
  stockCheckPoint({
    major: MADE_MAJOR,
    redo: START,
    nextXid: 800n,
    nextOid: 16400,
    oldestXid: 722,
    oldestActiveXid: 800,
  }),
  MADE_MAJOR,
);

function ingest(bytes: Uint8Array, options: Partial<IngestBackupWalRequest> = {}) {
  return ingestBackupWal({
    tenantId: 'a'.repeat(32),
    timelineId: 'b'.repeat(32),
    major: MADE_MAJOR,
    systemIdentifier: MADE_SYSTEM_IDENTIFIER,
    segmentSize: MADE_SEGMENT_SIZE,
    start: START,
    wal: inPieces(bytes),
    hasEndRecord: true,
    base: { get: async (key) => (compareKeys(key, CHECKPOINT_KEY) === 0 ? CHECK_POINT : undefined) },
    onLayer: async () => undefined,
    openPages: async () => {
      throw new Error('no database is copied here');
    },
    ...options,
  });
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.slice(at, at + 1000);
}

/** Records, ends of other backups, over two pages; the end of the backup that began at an LSN, and more that the backup does not need. */
function makeWal(began: Lsn = START) {
  const wal = new MadeWal(START);
  for (let count = 1n; count <= 300n; count += 1n) wal.appendBackupEnd(lsn(count * 8n));
  const last = wal.appendBackupEnd(began);
  wal.appendBackupEnd(ZERO_LSN);
  return { bytes: wal.bytes, last };
}

describe('the WAL of a base backup', () => {
  it('is taken to the record that ends the backup, and no further', async () => {
    const { bytes, last } = makeWal();
    expect(await ingest(bytes)).toEqual({ end: last.end, prevRecordLsn: last.start });
    expect(await ingest(bytes, { end: last.end })).toEqual({ end: last.end, prevRecordLsn: last.start });
  });

  it('of a standby is taken to where it is consistent, without such a record', async () => {
    const { bytes, last } = makeWal(ZERO_LSN);
    const end = await ingest(bytes, { hasEndRecord: false, end: last.start });
    expect(end.end).toBe(last.start);
  });

  it('that ends before is refused, wherever it ends', async () => {
    const { bytes, last } = makeWal();
    for (let length = 0; length < Number(last.end - START); length += 397) {
      const cut = ingest(bytes.subarray(0, length));
      await expect(cut).rejects.toMatchObject({ code: 'TIMELINE_WAL_TRUNCATED' });
      const filled = new Uint8Array(length + 4096);
      filled.set(bytes.subarray(0, length));
      await expect(ingest(filled)).rejects.toMatchObject({
        code: expect.stringMatching(/^TIMELINE_WAL_(TRUNCATED|CORRUPT)$/),
      });
    }
  });

  it('with the end of another backup only is refused', async () => {
    const { bytes } = makeWal(lsn(0x200028n));
    await expect(ingest(bytes)).rejects.toMatchObject({ code: 'TIMELINE_WAL_TRUNCATED' });
  });
});
