import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { assertSeparatePlaces } from './separate-places.ts';

const at = (url: string) => createMemoryStorage({ url });

describe('two places of a transfer', () => {
  it.each([
    ['s3://b/app', 's3://b/app', 'is the storage_dest itself'],
    ['s3://b/app', 's3://b/app/?endpoint=http://x', 'is the storage_dest itself'],
    ['file:///srv/bucket', 'file:///srv/bucket/tenants/new', 'lies inside the storage_dest'],
    ['file:///srv/data/bucket', 'file:///srv/data', 'lies inside --snapshot_path'],
  ])('%s and %s are refused', (storageDest, snapshotPath, reason) => {
    expect(() => assertSeparatePlaces(at(storageDest), at(snapshotPath))).toThrow(reason);
  });

  it('with a common beginning of the name are two places', () => {
    expect(() => assertSeparatePlaces(at('file:///srv/data'), at('file:///srv/data-2'))).not.toThrow();
  });
});
