import { describe, expect, test } from 'vitest';
import { classifyClusterFile } from './cluster-file.ts';

describe('what a file becomes in a timeline', () => {
  test.each([
    ['base/5/1259', 'relation'],
    ['base/5/1259_fsm.1', 'relation'],
    ['global/1262', 'relation'],
    ['pg_tblspc/16400/PG_17_202406281/5/16401', 'relation'],
    ['base/5/pg_filenode.map', 'relation-map'],
    ['global/pg_filenode.map', 'relation-map'],
    ['pg_xact/0000', 'slru'],
    ['pg_multixact/members/14078', 'slru'],
    ['pg_twophase/000002E1', 'two-phase'],
    ['pg_twophase/00000001000002E1', 'two-phase'],
    ['pg_stat/pgstat.stat', 'statistics'],
    ['pg_logical/replorigin_checkpoint', 'replication-origins'],
    ['postgresql.conf', 'configuration'],
    ['pg_hba.conf', 'configuration'],
    ['PG_VERSION', 'regenerated'],
    ['base/5/PG_VERSION', 'regenerated'],
    ['base/5/pg_internal.init', 'regenerated'],
    ['base/5/t3_16384', 'regenerated'],
    ['pg_wal/000000010000000000000001', 'regenerated'],
    ['pg_wal/00000002.history', 'timeline-history'],
    ['log/postgresql.log', 'regenerated'],
    ['standby.signal', 'regenerated'],
    ['recovery.signal', 'regenerated'],
    ['backup_label.old', 'regenerated'],
    ['tablespace_map.old', 'regenerated'],
  ])('%s is %s', (path, kind) => {
    expect(classifyClusterFile(path).kind).toBe(kind);
  });

  test.each([
    ['pg_replslot/slot/state', 'replication slots'],
    ['pg_logical/snapshots/0-1.snap', 'replication slots'],
    ['pg_commit_ts/0000', 'commit timestamps'],
    ['conf.d/site.conf', 'other files'],
    ['server.key', 'other files'],
    ['base/5/1259.backup', 'other files'],
  ])('%s can only be left out, as %s', (path, what) => {
    expect(classifyClusterFile(path)).toEqual({ kind: 'unheld', what });
  });

  test('prepared transactions are known by their full id', () => {
    expect(classifyClusterFile('pg_twophase/00000001000002E1')).toEqual({
      kind: 'two-phase',
      xid: 0x1000002e1n,
    });
  });
});
