import { availableParallelism } from 'node:os';
import type { FormatPlugin, ProgressListener } from '@neon-snapshot/format-core';
import { openStorage, type PluginRegistry, type Storage } from '@neon-snapshot/storage-core';
import type { ParsedArguments } from './arguments.ts';
import type { OutputWriter } from './output/writer.ts';

/** What a command gets: where it runs, what it may use, whom it tells. */
export interface Session {
  readonly args: ParsedArguments;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly currentDirectory: string;
  readonly output: OutputWriter;
  readonly signal: AbortSignal;
  readonly registry: PluginRegistry;
  readonly onProgress: ProgressListener;
  /** What makes this program run again, before the words of a command line. */
  readonly program: readonly [string, ...string[]];
}

export type StorageRole = 'storage' | 'snapshot';

export interface OpenRequest {
  readonly role: StorageRole;
  readonly access: 'read' | 'write';
  /** Bytes per second that are written at most. */
  readonly bytesPerSecondMax?: number | undefined;
}

const CONCURRENCY_DEFAULT_MAX = 8;

/** Opens a storage URL with the credentials of its role. */
export function openLocation(session: Session, url: string, request: OpenRequest): Promise<Storage> {
  const { bytesPerSecondMax } = request;
  return openStorage(session.registry, url, {
    role: request.role,
    access: request.access,
    env: session.env,
    baseDirectory: session.currentDirectory,
    signal: session.signal,
    warn: (message) => session.output.warn(message),
    ...(bytesPerSecondMax === undefined ? {} : { bytesPerSecondMax }),
  });
}

/** The plugin of a format; an unknown name is an error that lists the known ones. */
export function loadFormat(session: Session, name: string): Promise<FormatPlugin> {
  return session.registry.load<FormatPlugin>('format', name);
}

export function formatNames(session: Session): string[] {
  return session.registry
    .list()
    .filter((plugin) => plugin.kind === 'format')
    .flatMap((plugin) => plugin.names);
}

/** `--concurrency`, else one per CPU up to a sensible number. */
export function concurrencyOf(args: ParsedArguments): number {
  const asked = args.integer('concurrency');
  return asked ?? Math.min(CONCURRENCY_DEFAULT_MAX, availableParallelism());
}
