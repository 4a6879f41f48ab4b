import { readFileSync } from 'node:fs';
import { formatAnnotations, lsn } from '@neon-snapshot/postgres';
import { describe, expect, it } from 'vitest';
import { annotateLayer } from './annotate-layer.ts';
import { DeltaLayerBuilder } from './delta-layer-builder.ts';
import { encodeDbDirectory, encodeRelDirectory } from './directory.ts';
import { ImageLayerBuilder } from './image-layer-builder.ts';
import { CHECKPOINT_KEY, DBDIR_KEY, KEY_MAX, KEY_MIN, relBlockKey, relDirKey, relSizeKey } from './key.ts';
import { createPageCompressor } from './page-compressor.ts';
import { encodeSizeValue } from './scalar-value.ts';
import { encodeValue } from './value.ts';

const IDENTITY = {
  tenantId: '3aa8fcc61f6d357410b7de754b1d9001',
  timelineId: '641e5342083b2235ee3deb8066819683',
};
const TAG = { spcNode: 1663, dbNode: 5, relNode: 2700, forkNum: 0 } as const;

function exampleLayer(): Uint8Array {
  const builder = new ImageLayerBuilder({ ...IDENTITY, lsn: lsn(0x14aec08n), keyStart: KEY_MIN });
  const compressor = createPageCompressor();
  const append = (key: Uint8Array, value: Uint8Array) =>
    builder.appendBlob(key, compressor.encodeBlob(value));
  append(DBDIR_KEY, encodeDbDirectory([{ spcNode: 1663, dbNode: 5, hasRelationMap: true }]));
  append(relDirKey(1663, 5), encodeRelDirectory([{ relNode: 2700, forkNum: 0 }]));
  append(relBlockKey(TAG, 0), new Uint8Array(8192).fill(0xab));
  append(relSizeKey(TAG), encodeSizeValue(1));
  return Uint8Array.from(Buffer.concat(builder.finish(KEY_MAX).chunks));
}

const dump = (bytes: Uint8Array) => [...formatAnnotations(bytes, annotateLayer(bytes))].join('\n');

describe('annotateLayer', () => {
  it('explains an image layer as the README shows it', () => {
    const text = dump(exampleLayer());
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    expect(readme).toContain(text);
  });

  it('explains a delta layer with LSNs and the will_init bit', () => {
    const builder = new DeltaLayerBuilder({ ...IDENTITY, keyStart: KEY_MIN, lsnStart: lsn(0x14aeb90n) });
    const image = encodeValue({ kind: 'image', image: new Uint8Array(88) });
    const record = encodeValue({ kind: 'record', record: { kind: 'clog-set-aborted', xids: [730] } });
    builder.append({ key: relBlockKey(TAG, 7), lsn: lsn(0x14aeb98n), value: record, willInit: false });
    builder.append({ key: CHECKPOINT_KEY, lsn: lsn(0x14aec08n), value: image, willInit: true });
    const layer = builder.finish({ keyEnd: KEY_MAX, lsnEnd: lsn(0x14aec09n) });
    const text = dump(Uint8Array.from(Buffer.concat(layer.chunks)));
    expect(text).toContain('lsnEnd: 0/14AEC09');
    expect(text).toContain(
      'value: block 7 of relation 1663/5/2700 fork 0 at 0/14AEB98: clog-set-aborted record',
    );
    expect(text).toContain('value: the checkpoint at 0/14AEC08: image of 88 bytes');
    expect(text).toContain('value 1: blob at 0x2015, will init');
  });

  it('shows inner nodes, and of long ones only the beginning', () => {
    const builder = new ImageLayerBuilder({ ...IDENTITY, lsn: lsn(8n), keyStart: KEY_MIN });
    const lengths = new Uint32Array(1200).fill(1);
    builder.appendRun({
      keyPrefix: relBlockKey(TAG, 0),
      blockNumbers: 0,
      blobs: new Uint8Array(1200),
      lengths,
    });
    const bytes = Uint8Array.from(Buffer.concat(builder.finish(KEY_MAX).chunks));
    const lines = [...formatAnnotations(bytes, annotateLayer(bytes, { entriesMax: 2 }))];
    expect(lines.some((line) => line.endsWith('value 1: block 1 of the index'))).toBe(true);
    expect(lines.some((line) => line.endsWith('more: 1165 entries'))).toBe(true);
  });
});
