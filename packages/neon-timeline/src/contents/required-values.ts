import { compareKeys, describeKey, type TimelineReader } from '@neon-snapshot/neon-layer';
import { TimelineError } from '../timeline-error.ts';

/** What of a reader is needed for what is no page. */
export type ContentsReader = Pick<TimelineReader, 'source' | 'lsn' | 'get' | 'getMany' | 'scan'>;

export interface ReadContentsOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Values of a timeline that have to be there: `TIMELINE_INCOMPLETE` where one is not. */
export class RequiredValues {
  readonly reader: ContentsReader;
  readonly signal: AbortSignal | undefined;

  constructor(reader: ContentsReader, { signal }: ReadContentsOptions) {
    this.reader = reader;
    this.signal = signal;
  }

  async one(key: Uint8Array): Promise<Uint8Array> {
    return (await this.reader.get(key, { signal: this.signal })) ?? missing(key);
  }

  /** One value for each item, ascending by key. */
  async each<Item>(
    items: readonly Item[],
    keyOf: (item: Item) => Uint8Array,
  ): Promise<{ readonly item: Item; readonly value: Uint8Array }[]> {
    const wanted = items.map((item) => ({ item, key: keyOf(item) }));
    wanted.sort((a, b) => compareKeys(a.key, b.key));
    const keys = wanted.map(({ key }) => key);
    const values = await this.reader.getMany(keys, { signal: this.signal });
    return wanted.map(({ item, key }, index) => ({ item, value: values[index] ?? missing(key) }));
  }
}

function missing(key: Uint8Array): never {
  throw new TimelineError({
    code: 'TIMELINE_INCOMPLETE',
    operation: 'read contents',
    message: `The timeline has no value for ${describeKey(key)} at this LSN; its layers are incomplete`,
  });
}
