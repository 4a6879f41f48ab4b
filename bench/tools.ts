import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type ClusterOptions, makeCluster } from './cluster.ts';
import type { Command } from './measure.ts';
import type { BenchOptions } from './run.ts';

const NEON = path.resolve(import.meta.dirname, '../packages/cli/bin/neon.cjs');

/** Pages of a row of the mixed table against pgbench's scale, so that both are about the same size. */
const MIXED_ROWS_PER_SCALE = 20_000;

export function benchCluster(options: BenchOptions): {
  readonly data: string;
  readonly bytes: number;
  readonly cluster: ClusterOptions;
} {
  const directory = path.join(options.directory, `cluster-${options.scale}`);
  mkdirSync(directory, { recursive: true });
  own(options, directory);
  const cluster = {
    directory,
    user: options.user,
    scale: options.scale,
    mixedRows: mixedRowsAt(options),
  };
  const data = makeCluster(cluster);
  return { data, bytes: diskUsage(path.join(data, 'base')), cluster };
}

export function mixedRowsAt({ scale, mixedRows }: Pick<BenchOptions, 'scale' | 'mixedRows'>): number {
  return mixedRows ?? scale * MIXED_ROWS_PER_SCALE;
}

export function neon(options: BenchOptions, args: readonly string[]): Command {
  return {
    command: process.execPath,
    args: [NEON, ...args, '--progress=none'],
    user: options.user,
    cwd: options.directory,
    env: { HOME: options.directory },
  };
}

/** pgBackRest on a stopped cluster with two processes and zstd level 1, as configured by this file. */
export function pgbackrest(options: BenchOptions, data: string, args: readonly string[]): Command {
  const home = path.join(options.directory, 'pgbackrest');
  mkdirSync(home, { recursive: true });
  own(options, home);
  const config = path.join(home, 'pgbackrest.conf');
  const lines = [
    '[global]',
    `repo1-path=${home}/repo`,
    `lock-path=${home}`,
    `log-path=${home}`,
    `spool-path=${home}`,
  ];
  lines.push(
    'log-level-file=off',
    'log-level-console=warn',
    'compress-type=zst',
    'compress-level=1',
    'process-max=2',
    'archive-check=n',
  );
  lines.push('start-fast=y', 'repo1-retention-full=1', '[bench]', `pg1-path=${data}`, '');
  writeFileSync(config, lines.join('\n'));
  own(options, config);
  return {
    command: 'pgbackrest',
    args: [`--config=${config}`, '--stanza=bench', ...args],
    user: options.user,
    cwd: options.directory,
  };
}

/** Gives a path to the user that the measured programs run as. */
export function own(options: BenchOptions, target: string): void {
  if (options.user !== undefined) chownSync(target, options.user.uid, options.user.gid);
}

export function removeAll(options: BenchOptions, ...names: readonly string[]): void {
  for (const name of names) rmSync(path.join(options.directory, name), { recursive: true, force: true });
}

export function diskUsage(directory: string): number {
  const printed = execFileSync('du', ['-s', '--bytes', directory], { encoding: 'utf8' });
  return Number(printed.split('\t')[0]);
}

/** Writes back what other runs left in the page cache, so that no run pays for another. */
export function settle(): void {
  execFileSync('sync');
}
