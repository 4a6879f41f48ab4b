import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acquireLease } from '@neon-snapshot/repository';
import type { Storage } from '@neon-snapshot/storage-core';
import type { PageServerOptions } from '../page-server/options.ts';
import { PageServer } from '../page-server/page-server.ts';

/** Where there is one: tests make many small files and sync each. */
const MEMORY_DIRECTORY = '/dev/shm';

/** A directory for a page server's state, removed when it is disposed. */
export async function makeStateDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(
    join(existsSync(MEMORY_DIRECTORY) ? MEMORY_DIRECTORY : tmpdir(), 'neon-pageserver-'),
  );
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export interface TestServerOptions extends Partial<Omit<PageServerOptions, 'storage' | 'tenantId'>> {
  readonly storage: Storage;
  readonly tenantId: string;
  readonly stateDirectory: string;
  readonly takeOver?: boolean;
}

/** A page server with a lease of its own. Pushes nothing by itself unless intervals are given. */
export async function openTestServer(options: TestServerOptions): Promise<PageServer> {
  const { storage, tenantId, takeOver = true, clock, ...rest } = options;
  const lease = await acquireLease({
    storage,
    directory: `neon-snapshot/${tenantId}`,
    command: 'neon pageserver',
    generationMin: 2,
    onExpiry: 'wait',
    takeOver,
    ...(clock === undefined ? {} : { clock }),
  });
  return PageServer.open({
    pushIntervalMs: 3_600_000,
    layerIntervalMs: 3_600_000,
    ...rest,
    clock,
    storage,
    tenantId,
    lease,
  });
}
