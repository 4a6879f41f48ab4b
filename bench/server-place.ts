import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { BenchOptions } from './run.ts';
import { neon } from './tools.ts';

/** A repository of the benchmark, with its storage in `bucket`. */
export interface Place {
  readonly options: BenchOptions;
  readonly directory: string;
}

export interface Server {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly pageServerPid: number;
  readonly pagesPort: number;
  readonly connectionString: string;
}

export function start(place: Place, durability: 'local' | 'remote'): Server {
  neonIn(place, ['start', `--durability=${durability}`]);
  return serverOf(place);
}

export function serverOf(place: Place): Server {
  const status = JSON.parse(neonIn(place, ['status', '--json'])) as {
    readonly tenantId: string;
    readonly pageserver: { readonly pid: number; readonly pgPort: number };
    readonly endpoints: readonly { readonly connectionString: string; readonly timelineId: string }[];
  };
  const [endpoint] = status.endpoints;
  if (endpoint === undefined) throw new Error(`${place.directory} has no endpoint`);
  return {
    tenantId: status.tenantId,
    timelineId: endpoint.timelineId,
    pageServerPid: status.pageserver.pid,
    pagesPort: status.pageserver.pgPort,
    connectionString: endpoint.connectionString,
  };
}

export function neonIn({ options, directory }: Place, words: readonly string[]): string {
  const { command, args, user } = neon(options, [...words, '-D', directory]);
  return execFileSync(command, [...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 2 ** 26,
    ...user,
  });
}

export function peakBytes(pid: number): number {
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(peak ?? 0) * 1024;
}

export function treeBytes(directory: string): number {
  if (!existsSync(directory)) return 0;
  let bytes = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += statSync(path.join(entry.parentPath, entry.name)).size;
  }
  return bytes;
}
