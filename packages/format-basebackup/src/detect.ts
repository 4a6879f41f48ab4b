import type { Detection } from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { parseTarName } from './layout.ts';

/** A backup has a `base.tar`, compressed or not. One page of a listing. */
export async function detect(
  storage: Storage,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Detection> {
  for await (const { objects } of storage.list({
    prefix: 'base.t',
    delimiter: '/',
    signal: options.signal,
  })) {
    const found = objects.find(({ key }) => parseTarName(key)?.role.kind === 'base');
    if (found !== undefined) return { found: true, reason: `${found.key} is there` };
    break;
  }
  return { found: false, reason: 'there is no base.tar' };
}
