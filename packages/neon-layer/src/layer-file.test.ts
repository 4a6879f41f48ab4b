import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { createMemoryStorage } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { DeltaLayerBuilder } from './delta-layer-builder.ts';
import { ImageLayerBuilder } from './image-layer-builder.ts';
import type { BuiltLayer } from './layer-assembly.ts';
import { LayerFile } from './layer-file.ts';
import { parseLayerObjectName } from './layer-name.ts';
import { createPageCompressor } from './page-compressor.ts';
import { createPageDecompressor } from './page-decompressor.ts';
import {
  FIXTURE_DIRECTORY,
  filesBelow,
  HAS_SAMPLES,
  LAYER_FILE,
  SAMPLE_NAMES,
  SAMPLES_NOTE,
  sampleDirectory,
} from './testing/samples.ts';
import { decodeValue, encodeValue, willInit } from './value.ts';

const compressor = createPageCompressor();
const decompressor = createPageDecompressor();

/** Reads a layer file and writes it anew from what was read: values through their decoded form. */
async function reencode(
  path: string,
): Promise<{ readonly original: Uint8Array; readonly rebuilt: BuiltLayer }> {
  const original = Uint8Array.from(readFileSync(path));
  const { desc } = parseLayerObjectName(basename(path));
  const storage = createMemoryStorage();
  await storage.put('layer', original);
  const tenantId = /tenants\/([0-9a-f]{32})/.exec(path)?.[1] ?? '';
  const layer = await LayerFile.open(storage, 'layer', { desc, sizeBytes: original.length, tenantId });
  const rebuilt = desc.kind === 'image' ? await rebuildImage(layer) : await rebuildDelta(layer);
  return { original, rebuilt };
}

async function rebuildImage(layer: LayerFile): Promise<BuiltLayer> {
  const { desc, tenantId, timelineId } = layer.summary;
  const builder = new ImageLayerBuilder({
    tenantId,
    timelineId,
    lsn: desc.lsnStart,
    keyStart: desc.keyStart,
  });
  for await (const { entry, blob } of layer.readBlobs(layer.entries())) {
    builder.appendBlob(entry.key, compressor.encodeBlob(decompressor.decodeBlob(blob)));
  }
  return builder.finish(desc.keyEnd);
}

async function rebuildDelta(layer: LayerFile): Promise<BuiltLayer> {
  const { desc, tenantId, timelineId } = layer.summary;
  const builder = new DeltaLayerBuilder({
    tenantId,
    timelineId,
    keyStart: desc.keyStart,
    lsnStart: desc.lsnStart,
  });
  for await (const { entry, blob } of layer.readBlobs(layer.entries())) {
    const value = decodeValue(decompressor.decodeBlob(blob));
    expect(willInit(value)).toBe(entry.willInit);
    builder.append({ key: entry.key, lsn: entry.lsn, value: encodeValue(value), willInit: entry.willInit });
  }
  return builder.finish({ keyEnd: desc.keyEnd, lsnEnd: desc.lsnEnd });
}

async function expectSameBytes(path: string): Promise<void> {
  const { original, rebuilt } = await reencode(path);
  expect(rebuilt.name).toBe(parseLayerObjectName(basename(path)).name);
  expect(Buffer.compare(Buffer.concat(rebuilt.chunks), original)).toBe(0);
}

describe('layers of a real page server', () => {
  it('of the fixture re-encode to the same bytes, compressed frames included', async () => {
    const paths = filesBelow(FIXTURE_DIRECTORY, LAYER_FILE);
    expect(paths.length).toBe(33);
    for (const path of paths) await expectSameBytes(path);
  });

  describe.runIf(HAS_SAMPLES)(`of the large samples${SAMPLES_NOTE}`, () => {
    it.each(SAMPLE_NAMES)('of %s re-encode to the same bytes', async (name) => {
      const paths = filesBelow(`${sampleDirectory(name)}storage`, LAYER_FILE);
      expect(paths.length).toBeGreaterThan(20);
      for (const path of paths) await expectSameBytes(path);
    });
  });
});
