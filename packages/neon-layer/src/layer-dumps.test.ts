import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { openFsStorage } from '@neon-snapshot/storage-fs';
import { describe, expect, it } from 'vitest';
import { bytesToHex } from './bytes.ts';
import { LayerFile } from './layer-file.ts';
import { parseLayerObjectName } from './layer-name.ts';
import { filesBelow, HAS_SAMPLES, SAMPLES_NOTE, sampleDirectory } from './testing/samples.ts';

/*
 * Dumps by Neon's own `pagectl` (gzip). What is compared: its lines of leaf entries, `[suffix]: [value]` below a prefix,
 * both in hex.
 */

interface DumpedEntry {
  /** Key, of a delta with its LSN, lower-case hex. */
  readonly key: string;
  /** As in the leaf: of a delta twice the offset, plus the will_init bit. */
  readonly value: number;
}

function leafEntriesOf(dump: string): readonly DumpedEntry[] {
  const entries: DumpedEntry[] = [];
  let prefix = '';
  for (const line of dump.split('\n')) {
    const block = /^ *blk #\d+: path .*: prefix ([0-9a-f]*), suffix_len \d+$/.exec(line);
    if (block !== null) prefix = block[1] ?? '';
    const entry = /^ *([0-9a-f]*): ([0-9a-f]{10})$/.exec(line);
    if (entry === null || entry[2]?.startsWith('80') === true) continue;
    entries.push({ key: prefix + (entry[1] ?? ''), value: Number.parseInt(entry[2] ?? '', 16) });
  }
  return entries;
}

describe.runIf(HAS_SAMPLES)(`layers dumped by Neon's pagectl${SAMPLES_NOTE}`, () => {
  const directory = sampleDirectory('pg17');
  const dumps = HAS_SAMPLES ? filesBelow(`${directory}expected/layer-dumps`, /\.txt\.gz$/) : [];

  it.each(dumps.map((path) => [basename(path, '.txt.gz'), path]))(
    'have the same entries: %s',
    async (name, path) => {
      const file =
        filesBelow(`${directory}storage`, /__/).find((candidate) => basename(candidate) === name) ?? '';
      const { desc } = parseLayerObjectName(name);
      await using storage = await openFsStorage({ rootPath: `${directory}storage` });
      const objectKey = file.slice(file.indexOf('tenants/'));
      const layer = await LayerFile.open(storage, objectKey, {
        desc,
        sizeBytes: readFileSync(file).length,
        tenantId: '17101010101010101010101010101010',
      });
      const entries: DumpedEntry[] = [];
      for await (const entry of layer.entries()) {
        const lsn = desc.kind === 'image' ? '' : entry.lsn.toString(16).padStart(16, '0');
        const value = desc.kind === 'image' ? entry.offset : entry.offset * 2 + (entry.willInit ? 1 : 0);
        entries.push({ key: bytesToHex(entry.key) + lsn, value });
      }
      const dumped = leafEntriesOf(gunzipSync(readFileSync(path)).toString());
      expect(dumped.length).toBeGreaterThan(40);
      expect(entries).toEqual(dumped);
    },
  );
});
