import { formatTable } from '../output/table.ts';
import type { JsonValue } from '../output/writer.ts';
import type { RecordSize } from './record-facts.ts';

interface Tally {
  count: number;
  recordBytes: number;
  imageBytes: number;
}

const HEADER = ['TYPE', 'N', '%', 'RECORD BYTES', '%', 'FPI BYTES', '%', 'COMBINED BYTES', '%'] as const;

/** Counts records by resource manager and record name, as `pg_waldump --stats=record` does. */
export class RecordStatistics {
  readonly #byManager = new Map<string, Map<string, Tally>>();

  add(size: RecordSize): void {
    let records = this.#byManager.get(size.resourceManager);
    if (records === undefined) this.#byManager.set(size.resourceManager, (records = new Map()));
    let tally = records.get(size.record);
    if (tally === undefined) records.set(size.record, (tally = emptyTally()));
    addTo(tally, { count: 1, recordBytes: size.recordBytes, imageBytes: size.imageBytes });
  }

  /** A row for each resource manager, below it one for each of its record types; at the end the total. */
  lines(): string[] {
    const total = this.#total();
    const rows = this.#sorted().flatMap(({ manager, tally, records }) => [
      tallyRow(manager, tally, total),
      ...records.map(([name, own]) => tallyRow(`  ${manager}/${name}`, own, total)),
    ]);
    return formatTable(HEADER, [...rows, tallyRow('total', total, total)]);
  }

  data(): { readonly [key: string]: JsonValue } {
    return {
      statistics: this.#sorted().flatMap(({ manager, records }) =>
        records.map(([record, tally]) => ({ resourceManager: manager, record, ...tally })),
      ),
      total: { ...this.#total() },
    };
  }

  #sorted(): {
    readonly manager: string;
    readonly tally: Tally;
    readonly records: readonly (readonly [string, Tally])[];
  }[] {
    return [...this.#byManager]
      .sort(([a], [b]) => compareText(a, b))
      .map(([manager, records]) => ({
        manager,
        tally: sum([...records.values()]),
        records: [...records].sort(([a], [b]) => compareText(a, b)),
      }));
  }

  #total(): Tally {
    return sum([...this.#byManager.values()].flatMap((records) => [...records.values()]));
  }
}

function tallyRow(name: string, tally: Tally, total: Tally): string[] {
  const combined = tally.recordBytes + tally.imageBytes;
  const cells = [
    [tally.count, total.count],
    [tally.recordBytes, total.recordBytes],
    [tally.imageBytes, total.imageBytes],
    [combined, total.recordBytes + total.imageBytes],
  ] as const;
  return [name, ...cells.flatMap(([part, whole]) => [String(part), percentage(part, whole)])];
}

function percentage(part: number, whole: number): string {
  return (whole === 0 ? 0 : (100 * part) / whole).toFixed(2);
}

function emptyTally(): Tally {
  return { count: 0, recordBytes: 0, imageBytes: 0 };
}

function addTo(tally: Tally, more: Tally): void {
  tally.count += more.count;
  tally.recordBytes += more.recordBytes;
  tally.imageBytes += more.imageBytes;
}

function sum(tallies: readonly Tally[]): Tally {
  const total = emptyTally();
  for (const tally of tallies) addTo(total, tally);
  return total;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
