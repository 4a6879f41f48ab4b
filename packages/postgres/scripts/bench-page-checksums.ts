/** Prints the cost of page checksums per page. Run with: node scripts/bench-page-checksums.ts */
import { BLCKSZ } from '../src/page.ts';
import { pageChecksum } from '../src/page-checksum.ts';
import { createPageChecksums } from '../src/page-checksums.ts';

const PAGES = 128;
const ROUNDS = 400;
const SAMPLES = 9;

const checksums = createPageChecksums({ pagesMax: PAGES });
checksums.buffer.forEach((_, offset) => {
  checksums.buffer[offset] = (offset * 2654435761) >>> 24;
});
checksums.stamp(PAGES, 0);
const page = checksums.buffer.slice(0, BLCKSZ);
report('WebAssembly, verify 1 MiB', PAGES, () => checksums.verify(PAGES, 0));
report('WebAssembly, copy and verify one page', 1, () => {
  checksums.buffer.set(page);
  checksums.verify(1, 0);
});
report('JavaScript, one page', 1, () => pageChecksum(page, 0));

function report(name: string, pages: number, action: () => unknown): void {
  const samples = Array.from({ length: SAMPLES }, () => {
    const started = performance.now();
    for (let round = 0; round < ROUNDS; round++) action();
    return ((performance.now() - started) * 1000) / (ROUNDS * pages);
  }).sort((a, b) => a - b);
  console.log(`${name}: ${samples[SAMPLES >> 1]?.toFixed(2)} µs a page (median of ${SAMPLES})`);
}
