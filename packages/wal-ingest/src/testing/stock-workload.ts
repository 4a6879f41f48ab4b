/* SQL that makes Postgres write every kind of record with an effect of its own on keys. */
import type { PostgresServer } from '@neon-snapshot/postgres-process';

/** `major` decides how databases are copied. */
function statements(major: number): readonly string[] {
  const copies =
    major < 15
      ? ['create database copied']
      : ['file_copy', 'wal_log'].map((strategy) => `create database ${strategy} strategy ${strategy}`);
  return [
    'create table t(id int primary key, v text, pad text) with (fillfactor = 60)',
    'alter table t replica identity full',
    "insert into t select g, 'v' || g, repeat('x', 40) from generate_series(1, 3000) g",
    'create table k(id int primary key, v text)',
    'insert into k select g, md5(g::text) from generate_series(1, 2000) g',
    'checkpoint',
    "update t set v = v || '!' where id % 3 = 0",
    "update t set pad = repeat('y', 300) where id % 7 = 0",
    "update k set v = 'short' where id % 5 = 0",
    'update k set id = id + 10000 where id % 50 = 0',
    'delete from t where id % 11 = 0',
    'delete from k where id % 13 = 0',
    'vacuum (freeze) t',
    'vacuum k',
    // Pages are all-visible now: what follows clears bits of their maps.
    "insert into t select g, 'again', 'z' from generate_series(5001, 5100) g",
    "update t set v = 'after' where id % 100 = 1",
    'delete from k where id % 97 = 0',
    'begin; select * from k where id % 89 = 1 for update; commit',
    'begin; select * from t where id < 50 for key share; savepoint s; update t set v = v where id < 20; rollback to s; commit',
    "begin; insert into t values (9001, 'a', ''); savepoint a; insert into t values (9002, 'b', ''); savepoint b; insert into t values (9003, 'c', ''); rollback to b; commit",
    "begin; insert into t values (9010, 'gone', ''); rollback",
    'create table copied(a int, b text)',
    "copy copied from program 'seq 1 2000 | sed s/$/,text/' with (format csv)",
    'create table large(a text)',
    'alter table large alter a set storage external',
    'insert into large select repeat(md5(g::text), 200) from generate_series(1, 40) g',
    "begin; insert into k values (20001, 'prepared'); prepare transaction 'one'",
    "begin; insert into k values (20002, 'prepared'); prepare transaction 'two'",
    "commit prepared 'one'",
    "rollback prepared 'two'",
    'create table shrunk(a int, b text)',
    "insert into shrunk select g, repeat('s', 100) from generate_series(1, 4000) g",
    'vacuum shrunk',
    'delete from shrunk where a > 300',
    'vacuum (truncate) shrunk',
    'create table dropped as select g from generate_series(1, 1000) g',
    'drop table dropped',
    'truncate copied',
    'vacuum full k',
    'vacuum full pg_class',
    'cluster t using t_pkey',
    'create index on t(v)',
    'reindex index t_pkey',
    'create database gone',
    'drop database gone',
    ...copies,
    // As long as the state of a slot: a page server looks into it.
    "select pg_logical_emit_message(false, 'neon-file:pg_replslot/s/state', repeat('content', 30))",
    "select pg_replication_origin_create('origin')",
    "select pg_replication_origin_session_setup('origin')",
    "begin; select pg_replication_origin_xact_setup('0/AABBCC', now()); insert into k values (20003, 'origin'); commit",
    'select lo_create(0)',
    "begin; insert into k values (20004, 'stays'); prepare transaction 'stays'",
  ];
}

/** Runs them, and takes locks of two sessions on the same rows, for multixacts. */
export async function runStockWorkload(server: PostgresServer): Promise<void> {
  await using session = await server.connect();
  for (const sql of statements(server.installation.major)) {
    // Several statements in one query would be one transaction.
    for (const part of sql.split('; ')) await session.query(part);
  }
  await using other = await server.connect();
  for (const each of [session, other]) {
    await each.query('begin');
    await each.query('select * from t where id < 400 for key share');
  }
  await other.query("update t set v = 'shared' where id between 100 and 300");
  await other.query('commit');
  await session.query('commit');
}
