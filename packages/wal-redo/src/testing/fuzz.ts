import { createRedoEngine, type RedoEngine } from '../redo-engine.ts';
import type { RedoSample } from './corpus.ts';
import { createRandom, damage, redoHostile } from './hostile.ts';

export interface FuzzOptions {
  readonly major: number;
  readonly cases: number;
  readonly seed: number;
}

export interface FuzzResult {
  readonly accepted: number;
  readonly refused: number;
}

/** Of a record's header, only the length is spared: a wrong one is refused at once. */
const LENGTH_FIELD_SIZE = 4;

/** Redoes damaged samples: half of the cases with a damaged record, half with a damaged page too. Throws on the first fault. */
export function fuzz(samples: readonly RedoSample[], options: FuzzOptions): FuzzResult {
  const random = createRandom(options.seed);
  const engines = enginesOf(options.major);
  const page = new Uint8Array(8192);
  let accepted = 0;
  for (let index = 0; index < options.cases; index++) {
    const sample = samples[random(samples.length)];
    const engine = engines[random(engines.length)];
    if (sample === undefined || engine === undefined) throw new Error('there are no samples to fuzz');
    const bytes = sample.bytes.slice();
    damage(bytes, random, LENGTH_FIELD_SIZE);
    page.set(sample.page);
    if (index % 2 === 1) damagePage(page, random);
    if (redoHostile(engine, { ...sample, bytes }, page) === 'accepted') accepted++;
  }
  return { accepted, refused: options.cases - accepted };
}

/** The header and line pointers decide where redo reads and writes, so they are hit more often. */
function damagePage(page: Uint8Array, random: (below: number) => number): void {
  damage(random(2) === 0 ? page.subarray(0, 200) : page, random, 8);
}

function enginesOf(major: number): RedoEngine[] {
  return (['stock', 'neon'] as const).map((heapLayout) =>
    createRedoEngine({ major, heapLayout, hintBitsLogged: true }),
  );
}
