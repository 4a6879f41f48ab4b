/** SQL that puts one of everything into a cluster. Deterministic, so that two clusters of one scale hold the same rows. */
import type { CompareScansOptions } from '@neon-snapshot/postgres-process';

/** A second database whose name needs quoting. */
export const OTHER_DATABASE = 'Other Db';

export const UNLOGGED_TABLES = ['public.scratch', 'public.scratch_wide'] as const;

/** Left prepared when the cluster stops: the first is to be committed, the second rolled back. */
export const PREPARED_TRANSACTIONS = ['keep me', 'drop me'] as const;

/** Rows that the prepared transaction `keep me` adds to `public.pending`, which holds one row without it. */
export const PENDING_ROW_COUNT = 50;

/** One query for each index type, with the index that answers it. */
export const INDEX_QUERIES: readonly Omit<CompareScansOptions, 'signal'>[] = [
  {
    index: 'items_pkey',
    sql: 'SELECT id, code FROM items WHERE id BETWEEN 100 AND 700',
    database: 'postgres',
  },
  { index: 'items_code_hash', sql: `SELECT id FROM items WHERE code = 'code-77'`, database: 'postgres' },
  { index: 'items_tags_gin', sql: 'SELECT id, tags FROM items WHERE tags @> ARRAY[7]', database: 'postgres' },
  {
    index: 'items_facts_gin',
    sql: `SELECT id FROM items WHERE facts @> '{"odd": true}'`,
    database: 'postgres',
  },
  {
    index: 'items_spot_gist',
    sql: `SELECT id FROM items WHERE spot <@ box '((10,10),(60,60))'`,
    database: 'postgres',
  },
  { index: 'items_label_spgist', sql: `SELECT id FROM items WHERE label ^@ 'a'`, database: 'postgres' },
  {
    index: 'items_created_brin',
    sql: `SELECT id FROM items WHERE created BETWEEN '2026-01-01 02:00' AND '2026-01-01 09:00'`,
    database: 'postgres',
  },
];

/** Contents of database `postgres`; `rowCount` rows in the main table. */
export function mainContents(rowCount: number): string {
  return `
CREATE TABLE items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL, tags int[] NOT NULL, facts jsonb NOT NULL, spot point NOT NULL, label text NOT NULL,
  created timestamp NOT NULL, amount numeric(12,2), note text
);
INSERT INTO items (code, tags, facts, spot, label, created, amount, note)
  SELECT 'code-' || g % 500, ARRAY[g % 11, g % 13 + 20, g % 17 + 40], jsonb_build_object('odd', g % 2 = 1, 'n', g % 97),
         point(g % 101, g % 89), md5(g::text), timestamp '2026-01-01' + g * interval '10 seconds', g / 3.0,
         CASE WHEN g % 5 > 0 THEN repeat('note ' || g, g % 20) END
  FROM generate_series(1, ${rowCount}) g;
CREATE INDEX items_code_hash ON items USING hash (code);
CREATE INDEX items_tags_gin ON items USING gin (tags);
CREATE INDEX items_facts_gin ON items USING gin (facts jsonb_path_ops);
CREATE INDEX items_spot_gist ON items USING gist (spot);
CREATE INDEX items_label_spgist ON items USING spgist (label);
CREATE INDEX items_created_brin ON items USING brin (created) WITH (pages_per_range = 4);
CREATE INDEX items_lower ON items (lower(label)) WHERE id % 3 = 0;
UPDATE items SET amount = amount + 1, tags = tags || 99 WHERE id % 7 = 0;
DELETE FROM items WHERE id % 19 = 0;

CREATE TABLE documents (id int PRIMARY KEY, body text, raw bytea);
ALTER TABLE documents ALTER COLUMN raw SET STORAGE EXTERNAL;
INSERT INTO documents
  SELECT g, (SELECT string_agg(md5(g || '.' || i), ' ') FROM generate_series(1, 40 * g) i),
         convert_to(repeat('raw bytes ' || g, 100 * g), 'UTF8')
  FROM generate_series(1, 40) g;

CREATE TABLE parts (id int, region text) PARTITION BY LIST (region);
CREATE TABLE parts_north PARTITION OF parts FOR VALUES IN ('north');
CREATE TABLE parts_south PARTITION OF parts FOR VALUES IN ('south');
CREATE INDEX ON parts (id);
INSERT INTO parts SELECT g, CASE WHEN g % 3 = 0 THEN 'north' ELSE 'south' END FROM generate_series(1, 300) g;
CREATE MATERIALIZED VIEW item_totals AS SELECT code, count(*) AS n, sum(amount) AS total FROM items GROUP BY code;
CREATE UNIQUE INDEX ON item_totals (code);

CREATE TABLE nothing (id int);
CREATE SEQUENCE numbers START 1000 INCREMENT 7;
SELECT count(nextval('numbers')) FROM generate_series(1, 12);
SELECT lo_from_bytea(70000 + g, convert_to(repeat('large object ' || g || ' ', 3000 * g), 'UTF8')) FROM generate_series(1, 4) g;
SELECT lo_unlink(70002);

CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY, note text);
INSERT INTO scratch SELECT g, 'scratch ' || g FROM generate_series(1, 500) g;
CREATE UNLOGGED TABLE scratch_wide (id int, tags int[], body text);
CREATE INDEX scratch_wide_gin ON scratch_wide USING gin (tags);
INSERT INTO scratch_wide SELECT g, ARRAY[g], repeat(md5(g::text), 400) FROM generate_series(1, 20) g;

CREATE TABLE pending (id int PRIMARY KEY, note text);
INSERT INTO pending VALUES (0, 'committed');
CREATE TABLE shared_rows (id int PRIMARY KEY);
INSERT INTO shared_rows SELECT generate_series(1, 20);
`;
}

/** Each on its own, after {@link mainContents}: they make visibility and free space maps. */
export const VACUUM_STATEMENTS = ['VACUUM (ANALYZE) items', 'VACUUM (FREEZE) documents'] as const;

/** Contents of {@link OTHER_DATABASE}. */
export const OTHER_CONTENTS = `
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Ünïcode ""table""" (id int PRIMARY KEY, word text COLLATE "C");
INSERT INTO "Odd Schema"."Ünïcode ""table""" SELECT g, chr(945 + g % 24) || g FROM generate_series(1, 900) g;
CREATE TABLE empty_with_index (id int PRIMARY KEY, body text);
SELECT lo_from_bytea(80000, 'other');
`;

/** Each on its own: what lies in a user tablespace, of two databases. */
export function tablespaceStatements(location: string): readonly string[] {
  return [
    `CREATE TABLESPACE "far away" LOCATION '${location.replaceAll("'", "''")}'`,
    `CREATE TABLE far (id int PRIMARY KEY USING INDEX TABLESPACE "far away", body text, tags int[]) TABLESPACE "far away"`,
    `INSERT INTO far SELECT g, (SELECT string_agg(md5(g || '.' || i), ' ') FROM generate_series(1, g) i), ARRAY[g % 7] FROM generate_series(1, 400) g`,
    `CREATE INDEX far_tags ON far USING gin (tags) TABLESPACE "far away"`,
    `CREATE UNLOGGED TABLE far_scratch (id int PRIMARY KEY) TABLESPACE "far away"`,
    `CREATE DATABASE "far database" TABLESPACE "far away"`,
  ];
}

/** Statements of the two prepared transactions, each run in a connection of its own. */
export const PREPARE_STATEMENTS: readonly string[] = [
  `BEGIN; INSERT INTO pending SELECT g, 'prepared' FROM generate_series(1, ${PENDING_ROW_COUNT}) g; PREPARE TRANSACTION '${PREPARED_TRANSACTIONS[0]}'`,
  `BEGIN; DELETE FROM pending WHERE id = 0; INSERT INTO pending VALUES (1000, 'never'); PREPARE TRANSACTION '${PREPARED_TRANSACTIONS[1]}'`,
];

/** Table of wide rows, one a page, so that its size is made quickly: `pageCount` pages. */
export function bigContents(pageCount: number): string {
  return `
BEGIN;
CREATE TABLE big (id int, filler text);
ALTER TABLE big ALTER COLUMN filler SET STORAGE PLAIN;
INSERT INTO big SELECT g, repeat(md5(g::text), 245) FROM generate_series(1, ${pageCount}) g;
COMMIT;`;
}
