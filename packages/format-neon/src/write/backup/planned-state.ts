import { isRelationBlockKey, keyToHex, parseKey } from '@neon-snapshot/neon-layer';
import { type HeldValuesSource, valuesOfRun } from '../held-files.ts';
import { sizeValueOf } from '../key-plan.ts';

/** The values of the image layers that are no pages, from what the writer knows anyway: nothing is read back. */
export class PlannedState {
  readonly #values = new Map<string, Uint8Array>();

  constructor(source: HeldValuesSource) {
    for (const element of source.plan.elements) {
      if (element.kind === 'streamed') {
        const size = sizeValueOf(element);
        if (size !== undefined) this.#values.set(keyToHex(size.key), size.value);
        continue;
      }
      for (const { key, value } of valuesOfRun(element, source)) {
        if (!isPage(key)) this.#values.set(keyToHex(key), value);
      }
    }
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#values.get(keyToHex(key));
  }
}

function isPage(key: Uint8Array): boolean {
  return isRelationBlockKey(key) || parseKey(key).kind === 'slru-block';
}
