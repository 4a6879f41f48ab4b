import {
  copySnapshot,
  describeSource,
  type FormatOptions,
  type FormatPlugin,
  type WriteResult,
} from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { testServices } from './services.ts';

export interface CopyEnd {
  readonly format: FormatPlugin;
  readonly storage: Storage;
  readonly options?: FormatOptions;
}

export interface CopyOutcome {
  readonly result: WriteResult;
  readonly warnings: readonly string[];
}

/** One snapshot from one format and storage to another, as the commands do it. */
export async function copy(from: CopyEnd, to: CopyEnd, concurrency = 2): Promise<CopyOutcome> {
  const { services, warnings } = testServices();
  await using reader = await from.format.openReader({
    storage: from.storage,
    options: from.options ?? {},
    services,
    concurrency,
    pagesVerifiedDownstream: to.format.capability.verifiesPages === true,
  });
  const writer = await to.format.openWriter({
    storage: to.storage,
    options: to.options ?? {},
    services,
    concurrency,
    source: describeSource(reader, from.format.name),
  });
  const result = await copySnapshot({ reader, writer, concurrency });
  return { result, warnings };
}
