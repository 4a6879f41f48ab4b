/** SQL for the rarer records: page deletions, killed items, overflow pages, posting trees, deep trees out of few rows. */
import type { WorkloadOptions } from './workload.ts';

const WIDE = `(select string_agg(md5(random()::text||g||i), '') from generate_series(1,38) i)`;

/** With fewer rows some operations do not happen. */
const SCALE_MIN = 0.25;

export function specialStatements({ scale }: WorkloadOptions): readonly string[] {
  const n = (rows: number): number => Math.ceil(rows * Math.max(scale, SCALE_MIN));
  return [
    `set enable_seqscan=off`,
    `set enable_bitmapscan=off`,
    ...hashStatements(n),
    ...gistStatements(n),
    ...spgistStatements(n),
    ...ginStatements(n),
    ...brinStatements(n),
    ...btreeStatements(n),
    `reset enable_seqscan`,
    `reset enable_bitmapscan`,
  ];
}

type Rows = (count: number) => number;

/** Overflow pages and buckets that split, squeezing, items killed by scans and cleaned by an insert. */
function hashStatements(n: Rows): string[] {
  return [
    `create table sh(a int)`,
    // The number of buckets to begin with follows from the statistics: two.
    `insert into sh values (0)`,
    `vacuum analyze sh`,
    `create index sh_i on sh using hash(a)`,
    `insert into sh select g % 4 from generate_series(1,2400) g`,
    `delete from sh where a < 2`,
    `do $$ declare i int; begin for i in 0..1 loop perform count(*) from sh where a=i; end loop; end $$`,
    `insert into sh select g % 4 from generate_series(1,400) g`,
    `delete from sh where a < 3`,
    `vacuum sh`,
    `insert into sh select g from generate_series(1,${n(2000)}) g`,
    `vacuum sh`,
    `delete from sh`,
    `vacuum sh`,
  ];
}

/** Items killed by scans, pages that vacuum deletes. */
function gistStatements(n: Rows): string[] {
  return [
    `create table sg(p point)`,
    `create index sg_i on sg using gist(p)`,
    `insert into sg select point(random(),random()) from generate_series(1,${n(1200)})`,
    `delete from sg where p <@ box '((0,0),(0.6,0.6))'`,
    `select count(*) from sg where p <@ box '((0,0),(1,1))'`,
    `select count(*) from sg where p <@ box '((0,0),(1,1))'`,
    `insert into sg select point(random()*0.6,random()*0.6) from generate_series(1,${n(1000)})`,
    `delete from sg`,
    `vacuum sg`,
    `vacuum sg`,
    `insert into sg select point(random(),random()) from generate_series(1,${n(300)})`,
    `vacuum sg`,
  ];
}

function spgistStatements(n: Rows): string[] {
  return [
    `create table ss(p point, t text)`,
    `create index ss_i on ss using spgist(p)`,
    `create index ss_t on ss using spgist(t)`,
    `insert into ss select point(random(),random()), 'x'||g from generate_series(1,40) g`,
    `delete from ss where p <@ box '((0,0),(0.7,0.7))'`,
    `vacuum ss`,
    `insert into ss select point(random(),random()), repeat(chr(65+g%50), g%30) from generate_series(1,${n(900)}) g`,
    `delete from ss where p <@ box '((0,0),(0.9,0.9))'`,
    `vacuum ss`,
    `insert into ss select point(random(),random()), md5(g::text) from generate_series(1,${n(500)}) g`,
    `vacuum ss`,
    `create table ss_root(t text)`,
    `create index ss_root_i on ss_root using spgist(t)`,
    `insert into ss_root select 'k'||g from generate_series(1,12) g`,
    `delete from ss_root where t like 'k1%'`,
    `vacuum ss_root`,
    `insert into ss_root select repeat('ab', g) || g from generate_series(1,${n(200)}) g`,
    `create table ss_split(t text)`,
    `create index ss_split_i on ss_split using spgist(t)`,
    `insert into ss_split select 'common/prefix/' || md5(g::text) from generate_series(1,300) g`,
    `insert into ss_split values ('common/other'), ('comm'), ('x')`,
    `create table ss_build as select point(random(),random()) p, md5(g::text) t from generate_series(1,${n(1500)}) g`,
    `create index on ss_build using spgist(p)`,
    `create index on ss_build using spgist(t)`,
  ];
}

/** Posting trees that grow, split and lose pages; the pending list. */
function ginStatements(n: Rows): string[] {
  return [
    `create table gi(a int[])`,
    `create index gi_i on gi using gin(a) with (fastupdate=off)`,
    `insert into gi select array[1] from generate_series(1,3500) g`,
    `insert into gi select array[(random()*3000)::int, g%5] from generate_series(1,${n(600)}) g`,
    `delete from gi where ctid < '(10,1)'`,
    `vacuum gi`,
    `delete from gi`,
    `vacuum gi`,
    `insert into gi select array[1,2,g%5] from generate_series(1,${n(300)}) g`,
    `vacuum gi`,
    // A posting tree of several levels needs many rows, whose own records are of no interest.
    `set wal_consistency_checking = ''`,
    `create table gi_bulk(a int[])`,
    `insert into gi_bulk select array[1] from generate_series(1,24000) g`,
    `create index gi_bulk_i on gi_bulk using gin(a) with (fastupdate=off)`,
    `delete from gi_bulk where ctid < '(150,1)'`,
    `reset wal_consistency_checking`,
    `insert into gi_bulk select array[1] from generate_series(1,${n(300)}) g`,
    `vacuum gi_bulk`,
    `create table gi_list(a int[])`,
    `create index gi_list_i on gi_list using gin(a) with (gin_pending_list_limit=64)`,
    `insert into gi_list select array[g, g+1, g+2] from generate_series(1,${n(1500)}) g`,
    `select gin_clean_pending_list('gi_list_i')`,
  ];
}

/** Summaries that grow beyond their page, and that are taken away. */
function brinStatements(n: Rows): string[] {
  return [
    `create table br(a int, t text) with (fillfactor=10)`,
    `create index br_i on br using brin(a) with (pages_per_range=1)`,
    `create index br_t on br using brin(t) with (pages_per_range=1)`,
    `insert into br select g, repeat('x', 600) from generate_series(1,120) g`,
    `select brin_summarize_new_values('br_i'), brin_summarize_new_values('br_t')`,
    `update br set t = repeat(chr(65+(a%26)), 100+(a%1500)) where a%7=0`,
    `update br set t = repeat(chr(97+(a%26)), 1800) where a%5=0`,
    `insert into br select g, repeat('y', 900) from generate_series(1,100) g`,
    `select brin_summarize_new_values('br_i'), brin_summarize_new_values('br_t')`,
    `select brin_desummarize_range('br_i', g) from generate_series(0,20) g`,
    `select brin_desummarize_range('br_t', g) from generate_series(0,20) g`,
    `vacuum br`,
    `create table br_wide(a int)`,
    `create index br_wide_i on br_wide using brin(a) with (pages_per_range=1)`,
    `insert into br_wide select g from generate_series(1,${n(2000)}) g`,
    `select brin_summarize_new_values('br_wide_i')`,
  ];
}

/** Wide keys give three levels out of few rows; equal keys give posting lists that split, shrink and go. */
function btreeStatements(n: Rows): string[] {
  return [
    `create table bt(a int primary key, b text)`,
    `insert into bt select g, 'k' from generate_series(1,${n(1600)}) g`,
    `delete from bt where a < ${n(1590)}`,
    `vacuum bt`,
    `vacuum bt`,
    `insert into bt select g, 'z' from generate_series(200000,${200000 + n(800)}) g`,
    `delete from bt`,
    `vacuum bt`,
    `vacuum bt`,
    `create table bt_deep(b text)`,
    `alter table bt_deep alter b set storage plain`,
    `create index bt_deep_i on bt_deep(b)`,
    `insert into bt_deep select ${WIDE} from generate_series(1,${n(250)}) g`,
    `delete from bt_deep where b > '1'`,
    `vacuum bt_deep`,
    `vacuum bt_deep`,
    `delete from bt_deep`,
    `vacuum bt_deep`,
    `insert into bt_deep select ${WIDE} from generate_series(1,${n(60)}) g`,
    `vacuum bt_deep`,
    `create table bt_dup(a int, v int)`,
    `create index bt_dup_i on bt_dup(a)`,
    `insert into bt_dup select g % 10, g from generate_series(1,${n(4000)}) g`,
    `delete from bt_dup where v % 3 = 0`,
    `vacuum bt_dup`,
    `insert into bt_dup select g % 10, g from generate_series(1,${n(1500)}) g`,
    `update bt_dup set v = v + 1`,
    `update bt_dup set a = a where v % 2 = 0`,
    `delete from bt_dup where v % 4 = 0`,
    `select count(*) from bt_dup where a = 1`,
    `select count(*) from bt_dup where a = 1`,
    `insert into bt_dup select 1, g from generate_series(1,${n(600)}) g`,
  ];
}
