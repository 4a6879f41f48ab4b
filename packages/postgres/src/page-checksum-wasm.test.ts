import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import wabt from 'wabt';
import { PAGE_CHECKSUM_WASM } from './page-checksum-wasm.ts';

it('the committed WebAssembly bytes are those of page-checksum.wat', async () => {
  const source = await readFile(new URL('page-checksum.wat', import.meta.url), 'utf8');
  const { parseWat } = await wabt();
  const { buffer } = parseWat('page-checksum.wat', source, { simd: true }).toBinary({});
  expect(Buffer.from(buffer).toString('base64')).toBe(PAGE_CHECKSUM_WASM);
});
