import { lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { parseShardIndex, parseTenantShardId } from './identifiers.ts';
import { KEY_MAX, KEY_MIN } from './key.ts';
import { formatLayerName, isL0, parseLayerName, parseLayerObjectName } from './layer-name.ts';
import {
  indexObjectKey,
  initdbObjectKey,
  layerObjectKey,
  manifestObjectKey,
  parseIndexName,
  parseManifestName,
} from './remote-path.ts';

const IMAGE = `${'0'.repeat(36)}-${'F'.repeat(36)}__00000000014AEC08`;
const DELTA = `${'0'.repeat(36)}-${'F'.repeat(36)}__00000000014AEB90-00000000014AEC09`;
const TENANT = '3aa8fcc61f6d357410b7de754b1d9001';
const TIMELINE = '641e5342083b2235ee3deb8066819683';

describe('layer names', () => {
  it('of images and deltas parse and print', () => {
    const image = parseLayerName(IMAGE);
    expect(image).toEqual({
      kind: 'image',
      keyStart: KEY_MIN,
      keyEnd: KEY_MAX,
      lsnStart: lsn(0x14aec08n),
      lsnEnd: lsn(0x14aec09n),
    });
    const delta = parseLayerName(DELTA);
    expect(delta).toMatchObject({ kind: 'delta', lsnStart: 0x14aeb90n, lsnEnd: 0x14aec09n });
    expect([formatLayerName(image), formatLayerName(delta)]).toEqual([IMAGE, DELTA]);
    expect([isL0(image), isL0(delta)]).toEqual([false, true]);
  });

  it.each([
    ['-00000001', 1],
    ['-v1-0000000a', 10],
    ['-v1-ffffffff', 0xffff_ffff],
    ['', undefined],
  ])('of objects and files may end in %j', (suffix, generation) => {
    expect(parseLayerObjectName(IMAGE + suffix)).toMatchObject({ name: IMAGE, generation });
    expect(parseLayerObjectName(DELTA + suffix)).toMatchObject({ name: DELTA, generation });
  });

  it.each([
    ['empty', ''],
    ['lower case', IMAGE.toLowerCase()],
    ['a generation in an index', `${IMAGE}-00000001`],
    ['an empty key range', `${'0'.repeat(36)}-${'0'.repeat(36)}__00000000014AEC08`],
    ['an empty LSN range', `${'0'.repeat(36)}-${'F'.repeat(36)}__0000000000000008-0000000000000008`],
    ['an image at the last LSN', `${'0'.repeat(36)}-${'F'.repeat(36)}__FFFFFFFFFFFFFFFF`],
    ['a path', `x/${IMAGE}`],
  ])('refuse %s', (_, name) => {
    expect(() => parseLayerName(name)).toThrow(expect.objectContaining({ code: 'NEON_LAYER_INVALID_NAME' }));
  });
});

describe('remote paths', () => {
  const tenant = parseTenantShardId(TENANT);

  it('are those of a page server', () => {
    const base = `tenants/${TENANT}/timelines/${TIMELINE}`;
    const layer = { tenantId: TENANT, timelineId: TIMELINE, layerName: IMAGE };
    expect(layerObjectKey({ ...layer, generation: 1 })).toBe(`${base}/${IMAGE}-00000001`);
    expect(layerObjectKey(layer)).toBe(`${base}/${IMAGE}`);
    expect(layerObjectKey({ ...layer, generation: 2, shard: parseShardIndex('0008') })).toBe(
      `tenants/${TENANT}-0008/timelines/${TIMELINE}/${IMAGE}-00000002`,
    );
    expect(indexObjectKey({ tenant, timelineId: TIMELINE, generation: 0xab })).toBe(
      `${base}/index_part.json-000000ab`,
    );
    expect(manifestObjectKey(tenant, 2)).toBe(`tenants/${TENANT}/tenant-manifest-00000002.json`);
    expect(initdbObjectKey(TENANT, TIMELINE)).toBe(`${base}/initdb.tar.zst`);
  });

  it('give back the generation of an index and of a manifest', () => {
    expect(parseIndexName('index_part.json-000000ab')).toBe(0xab);
    expect(parseIndexName('index_part.json')).toBeUndefined();
    expect([parseIndexName('index_part.json-x'), parseIndexName(IMAGE)]).toEqual([null, null]);
    expect(parseManifestName('tenant-manifest-0000000f.json')).toBe(15);
    expect(parseManifestName('heatmap-v1.json')).toBeNull();
  });

  it('keep the shard of a tenant directory', () => {
    expect(parseTenantShardId(`${TENANT}-0102`)).toEqual({
      tenantId: TENANT,
      shard: { number: 1, count: 2 },
    });
    expect(parseTenantShardId(`${TENANT}-0001`).shard).toEqual({ number: 0, count: 1 });
  });

  it.each([TENANT.toUpperCase(), `${TENANT}-0202`, `${TENANT}-01`, `${TENANT}-0102-x`, '../x', ''])(
    'refuse the tenant directory %j',
    (text) => {
      expect(() => parseTenantShardId(text)).toThrow(
        expect.objectContaining({ code: 'NEON_LAYER_INVALID_NAME' }),
      );
    },
  );
});
