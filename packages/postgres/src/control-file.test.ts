import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLUSTER_STATE, clusterStates, decodeControlFile, encodeControlFile } from './control-file.ts';
import { CONTROL_FILE_OFFSETS, CONTROL_FILE_SIZE_MIN } from './control-file-layout.ts';
import { crc32c } from './crc32c.ts';
import { formatLsn, lsn } from './lsn.ts';
import { assertPostgresMajor } from './postgres-major.ts';
import { expectFormatError, withFlippedBit } from './testing/expect-format-error.ts';
import { FIXTURES, fixtureOf } from './testing/fixtures.ts';

describe.each(FIXTURES)('pg_control of major $major', (fixture) => {
  const major = assertPostgresMajor(fixture.major);

  it('holds what the server says it holds', () => {
    const file = decodeControlFile(fixture.controlFile);
    const { checkPointCopy: copy } = file;
    expect({
      system_identifier: String(file.systemIdentifier),
      pg_control_version: file.controlVersion,
      catalog_version_no: file.catalogVersion,
      pg_control_last_modified: isoTime(file.time),
      checkpoint_lsn: formatLsn(file.checkPoint),
      redo_lsn: formatLsn(copy.redo),
      timeline_id: copy.thisTimeLineId,
      prev_timeline_id: copy.prevTimeLineId,
      full_page_writes: copy.fullPageWrites,
      next_xid: `${copy.nextXid >> 32n}:${copy.nextXid & 0xffff_ffffn}`,
      next_oid: String(copy.nextOid),
      next_multixact_id: String(copy.nextMulti),
      next_multi_offset: String(copy.nextMultiOffset),
      oldest_xid: String(copy.oldestXid),
      oldest_xid_dbid: String(copy.oldestXidDb),
      oldest_active_xid: String(copy.oldestActiveXid),
      oldest_multi_xid: String(copy.oldestMulti),
      oldest_multi_dbid: String(copy.oldestMultiDb),
      oldest_commit_ts_xid: String(copy.oldestCommitTsXid),
      newest_commit_ts_xid: String(copy.newestCommitTsXid),
      checkpoint_time: isoTime(copy.time),
      min_recovery_end_lsn: formatLsn(file.minRecoveryPoint),
      min_recovery_end_timeline: file.minRecoveryPointTimeLineId,
      backup_start_lsn: formatLsn(file.backupStartPoint),
      backup_end_lsn: formatLsn(file.backupEndPoint),
      end_of_backup_record_required: file.backupEndRequired,
      max_data_alignment: file.maxAlign,
      database_block_size: file.blockSizeBytes,
      blocks_per_segment: file.relationSegmentBlocks,
      wal_block_size: file.walBlockSizeBytes,
      bytes_per_wal_segment: file.walSegmentSizeBytes,
      max_identifier_length: file.nameDataLen,
      max_index_columns: file.indexMaxKeys,
      max_toast_chunk_size: file.toastMaxChunkSize,
      large_object_chunk_size: file.largeObjectBlockSize,
      float8_pass_by_value: file.float8ByVal,
      data_page_checksum_version: file.dataChecksumVersion,
      ...(major >= 18 ? { default_char_signedness: file.defaultCharSignedness } : {}),
    }).toEqual({ ...withoutFileNames(fixture.controlFacts) });
  });

  it('holds the settings that the cluster was made with', () => {
    const file = decodeControlFile(fixture.controlFile);
    expect(file).toMatchObject({
      state: CLUSTER_STATE.inProduction,
      walLevel: 1,
      walLogHints: false,
      maxConnections: 12,
      maxWalSenders: 3,
      maxPreparedXacts: 2,
      maxWorkerProcesses: 8,
      maxLocksPerXact: 64,
      trackCommitTimestamp: true,
      floatFormat: 1234567,
    });
    expect(file.checkPointCopy.walLevel).toBe(major >= 17 ? 1 : undefined);
    expect(clusterStates[decodeControlFile(fixture.stoppedControlFile).state]).toBe('shut down');
  });

  it('gives the same bytes when decoded and encoded', () => {
    for (const bytes of [fixture.controlFile, fixture.stoppedControlFile]) {
      expect(encodeControlFile(decodeControlFile(bytes))).toEqual(bytes);
    }
  });

  it('survives encoding and decoding with other values', () => {
    const file = decodeControlFile(fixture.controlFile);
    const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
    const u32 = fc.nat(0xffff_ffff);
    const changes = fc.record({
      systemIdentifier: u64,
      state: fc.nat(6),
      time: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
      checkPoint: u64.map(lsn),
      minRecoveryPointTimeLineId: u32,
      maxConnections: fc.integer(),
      walLogHints: fc.boolean(),
      mockAuthenticationNonce: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    });
    fc.assert(
      fc.property(changes, u64, u32, (values, nextXid, oldestMulti) => {
        const changed = {
          ...file,
          ...values,
          checkPointCopy: { ...file.checkPointCopy, nextXid, oldestMulti },
        };
        expect(decodeControlFile(encodeControlFile(changed))).toEqual(changed);
      }),
      { numRuns: 50 },
    );
  });

  it('is refused when cut at any byte of its fields', () => {
    for (let size = 0; size < CONTROL_FILE_SIZE_MIN; size++) {
      expectFormatError(() => decodeControlFile(fixture.controlFile.subarray(0, size)), 'POSTGRES_TRUNCATED');
    }
  });

  it('is refused with any one bit flipped', () => {
    const { crc } = CONTROL_FILE_OFFSETS[major];
    for (let bit = 0; bit < (crc + 4) * 8; bit++) {
      const damaged = withFlippedBit(fixture.controlFile, bit);
      expectFormatError(
        () => decodeControlFile(damaged),
        'POSTGRES_CHECKSUM',
        'POSTGRES_UNSUPPORTED_VERSION',
      );
    }
  });
});

describe('pg_control', () => {
  const { controlFile } = fixtureOf(17);

  it('has a CRC-32C over all 8192 bytes that is constant for a layout', () => {
    expect(FIXTURES.map((fixture) => crc32c(fixture.controlFile).toString(16))).toEqual([
      ...Array.from({ length: 4 }, () => '87208743'),
      '75305193',
    ]);
  });

  it('of an unknown version is refused with the supported ones named', () => {
    const unknown = controlFile.slice();
    unknown.set([0x14, 0x07], 8);
    expect(() => decodeControlFile(unknown)).toThrow(
      /1812.*1300 \(Postgres 14, 15, 16\), 1700 \(Postgres 17\), 1800 \(Postgres 18\)$/,
    );
  });

  it('with a state, bool or number that does not exist is refused on both ways', () => {
    const file = decodeControlFile(controlFile);
    expectFormatError(() => decodeControlFile(encodeControlFile({ ...file, state: 7 })), 'POSTGRES_INVALID');
    expectFormatError(() => encodeControlFile({ ...file, maxConnections: 2 ** 31 }), 'POSTGRES_OUT_OF_RANGE');
    expectFormatError(
      () => encodeControlFile({ ...file, catalogVersion: 1 }),
      'POSTGRES_UNSUPPORTED_VERSION',
    );
    const nonce = { ...file, mockAuthenticationNonce: new Uint8Array(31) };
    expectFormatError(() => encodeControlFile(nonce), 'POSTGRES_OUT_OF_RANGE');
    const { walLevel: _, ...copy } = file.checkPointCopy;
    expectFormatError(() => encodeControlFile({ ...file, checkPointCopy: copy }), 'POSTGRES_OUT_OF_RANGE');
  });
});

function isoTime(seconds: bigint): string {
  return new Date(Number(seconds) * 1000).toISOString().replace('.000Z', '+00:00');
}

/** The functions also print the name of a WAL segment, which is not in the file. */
function withoutFileNames(facts: Readonly<Record<string, string | number | boolean>>) {
  const { redo_wal_file: _, ...rest } = facts;
  return rest;
}
