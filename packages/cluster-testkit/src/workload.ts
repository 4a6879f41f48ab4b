/** SQL that makes Postgres write nearly every kind of record that changes pages. `scale` 1 is some 10,000 block references. */

export interface WorkloadOptions {
  readonly scale: number;
  /** A path that the server can write and read. */
  readonly copyFile: string;
  readonly major: number;
}

const EXTENSIONS = ['bloom', 'btree_gist', 'pg_trgm'];

/** Tables and indexes of every access method. */
export function setupStatements(): readonly string[] {
  return [
    ...EXTENSIONS.map((name) => `create extension ${name}`),
    `create table t_btree(id bigserial primary key, a int, b text)`,
    `create index on t_btree(a)`,
    `create index on t_btree(b)`,
    `create table t_gin(id serial primary key, tags int[], txt text)`,
    `create index t_gin_tags on t_gin using gin(tags)`,
    `create index t_gin_trgm on t_gin using gin(txt gin_trgm_ops) with (fastupdate=off)`,
    `create table t_gist(id serial primary key, p point, r int4range)`,
    `create index on t_gist using gist(p)`,
    `create index on t_gist using gist(r)`,
    `create table t_spg(id serial primary key, p point, t text)`,
    `create index on t_spg using spgist(p)`,
    `create index on t_spg using spgist(t)`,
    `create table t_brin(id bigint, ts timestamptz, v int)`,
    `create index t_brin_id on t_brin using brin(id) with (pages_per_range=4)`,
    `create table t_hash(id int, k text)`,
    `create index on t_hash using hash(id)`,
    `create table t_bloom(a int, b int)`,
    `create index on t_bloom using bloom(a, b)`,
    `create table t_toast(id serial primary key, big text)`,
    `alter table t_toast alter big set storage external`,
    `create table t_mxact(id int primary key, v int)`,
    `insert into t_mxact select g, 0 from generate_series(1, 200) g`,
    `create table t_hot(id int primary key, cnt int, pad text) with (fillfactor=60)`,
    `create table t_copy(a int, b text)`,
    `create table t_shrink(id int primary key, t text)`,
    `create table t_part(k int, v text) partition by list(k)`,
    `create table t_part1 partition of t_part for values in (1)`,
    `create table t_part2 partition of t_part for values in (2)`,
    `create table t_upsert(id int primary key, v text)`,
    `create unlogged table t_unlogged(a int primary key, b text)`,
    `create sequence s1`,
    `create sequence s2 cache 10`,
  ];
}

/** One round of ordinary changes; can be repeated. */
export function dmlStatements({ scale, copyFile }: WorkloadOptions): readonly string[] {
  const n = (rows: number): number => Math.ceil(rows * scale);
  return [
    `insert into t_btree(a,b) select random()*1000, md5(random()::text) from generate_series(1,${n(1000)})`,
    `insert into t_gin(tags,txt) select array[(random()*5)::int, (random()*1000)::int], md5(random()::text) from generate_series(1,${n(120)})`,
    `insert into t_gist(p,r) select point(random(),random()), int4range((random()*1000)::int, 1000+(random()*1000)::int) from generate_series(1,${n(500)})`,
    `insert into t_spg(p,t) select point(random(),random()), 'pre'||md5(random()::text) from generate_series(1,${n(400)})`,
    `insert into t_spg(p,t) select point(1,1), repeat(chr(97+(g%26)), 5+g%40) from generate_series(1,${n(250)}) g`,
    `insert into t_spg(p,t) values (null, null), (null, null)`,
    `insert into t_brin select g, now() + g*interval '1 sec', random()*100 from generate_series(1,${n(1500)}) g`,
    `select brin_summarize_new_values('t_brin_id')`,
    `insert into t_hash select random()*100000, md5(random()::text) from generate_series(1,${n(700)})`,
    `insert into t_bloom select random()*1000, random()*1000 from generate_series(1,${n(200)})`,
    `insert into t_toast(big) select (select string_agg(md5(random()::text||g.g||i), '') from generate_series(1,200) i) from generate_series(1,${n(20)}) g(g)`,
    `update t_toast set big = big || 'x' where id % 7 = 0`,
    `delete from t_toast where id % 5 = 0`,
    `update t_btree set a = a+1 where id % 10 = 0`,
    `update t_btree set b = md5(b) where id % 17 = 0`,
    `delete from t_btree where id % 13 = 0`,
    `update t_gin set tags = tags || 7 where id % 9 = 0`,
    `delete from t_gin where id % 8 = 0`,
    `delete from t_gist where id % 6 = 0`,
    `delete from t_spg where id % 6 = 0`,
    `delete from t_hash where id % 5 = 0`,
    `delete from t_bloom where a % 5 = 0`,
    `delete from t_brin where v < 10`,
    `update t_brin set id = id + 100000 where v between 40 and 45`,
    `insert into t_hot select g, 0, repeat('x', 50) from generate_series(1,${n(300)}) g on conflict (id) do update set cnt = excluded.cnt`,
    `update t_hot set cnt = cnt + 1`,
    `update t_hot set cnt = cnt + 1 where id % 3 = 0`,
    `update t_hot set pad = repeat('z', 400) where id % 20 = 0`,
    `insert into t_upsert select g, 'n' from generate_series(1,60) g on conflict (id) do update set v = 'upd'`,
    `insert into t_part select 1, md5(g::text) from generate_series(1,30) g`,
    `update t_part set k = 2 where k = 1`,
    `insert into t_unlogged select g, 'x' from generate_series(1,100) g on conflict do nothing`,
    `select nextval('s1'), nextval('s2') from generate_series(1,100)`,
    `begin; savepoint a; insert into t_copy select g, 'c' from generate_series(1,50) g; savepoint b; insert into t_copy values (5,'d'); rollback to b; release a; commit`,
    `begin; select * from t_mxact where id < 20 for key share; savepoint s; update t_mxact set v=v+1 where id < 15; rollback to s; commit`,
    `begin; select * from t_mxact where id < 20 for update; savepoint s; delete from t_mxact where id < 3; rollback to s; rollback`,
    `begin; insert into t_copy values (1, '2pc'); prepare transaction 'p1'; commit prepared 'p1'`,
    `begin; insert into t_copy values (1, '2pc'); prepare transaction 'p2'; rollback prepared 'p2'`,
    `begin; create table t_abort(a int); insert into t_abort select generate_series(1,100); rollback`,
    `copy (select a, b from t_btree limit ${n(400)}) to '${copyFile}'`,
    `copy t_copy from '${copyFile}'`,
    `insert into t_shrink select g, repeat('y', 100) from generate_series(1,${n(400)}) g on conflict do nothing`,
    `vacuum t_shrink`,
    `delete from t_shrink where id > 50`,
    `vacuum (truncate true) t_shrink`,
    ...['t_btree', 't_gin', 't_gist', 't_spg', 't_hash', 't_bloom', 't_brin', 't_toast', 't_hot'].map(
      (table) => `vacuum ${table}`,
    ),
    `update t_btree set a = a+1 where id % 11 = 0`,
    `delete from t_btree where id % 29 = 0`,
  ];
}

/** Structure changes, freezing, databases: once, after the rounds. */
export function finalStatements({ scale, copyFile, major }: WorkloadOptions): readonly string[] {
  const n = (rows: number): number => Math.ceil(rows * scale);
  return [
    `create materialized view mv1 as select a%100 k, count(*) c from t_btree group by 1`,
    `refresh materialized view mv1`,
    `begin; create table t_frozen(a int, b text); copy t_frozen from '${copyFile}' with (freeze); commit`,
    `vacuum full t_copy`,
    `cluster t_hot using t_hot_pkey`,
    `reindex table t_gist`,
    `reindex index concurrently t_gin_tags`,
    `create index concurrently t_btree_ab on t_btree(a, b)`,
    `drop index t_btree_ab`,
    `alter table t_hot add column z int default 5`,
    `alter table t_hot alter column z type bigint`,
    `truncate t_bloom`,
    `begin; create table ctr(a int); insert into ctr values (1); truncate ctr; commit`,
    `vacuum freeze t_mxact`,
    `vacuum freeze t_btree`,
    `vacuum (freeze, disable_page_skipping) t_gin`,
    `update t_btree set a = a+1 where id % 23 = 0`,
    `begin; select * from t_mxact where id > 150 for update; commit`,
    major >= 15 ? `create database db_wal strategy wal_log` : `create database db_wal`,
    `select pg_logical_emit_message(false, 'prefix', 'hello')`,
    `insert into t_btree(a,b) select random()*100000, md5(random()::text) from generate_series(1,${n(200)})`,
    `begin; insert into t_copy values (2, 'pending'); prepare transaction 'pending'`,
  ];
}
