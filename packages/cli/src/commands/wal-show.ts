import type { Storage } from '@neon-snapshot/storage-core';
import { usageError } from '../cli-error.ts';
import type { StreamedEnd, StreamedItem, StreamedResult } from '../output/streamed-result.ts';
import type { CommandResult } from '../output/writer.ts';
import type { Session } from '../session.ts';
import { type RecordFilter, recordFilter } from '../wal/record-filter.ts';
import { RecordStatistics } from '../wal/record-statistics.ts';
import { findWal, type WalObject } from '../wal/wal-object.ts';
import { readWalValues, type WalStop, type WalValue } from '../wal/wal-values.ts';

/** `neon wal show FILE|URL…`: records of WAL segments and delta layers one by one, or counted with `--stats`. */
export async function run(session: Session): Promise<CommandResult | StreamedResult> {
  const targets = session.args.list('target');
  if (targets.length === 0) throw usageError('name WAL segments or delta layers: neon wal show FILE|URL…');
  const filter = recordFilter(session.args);
  if (session.args.boolean('stats')) {
    const statistics = new RecordStatistics();
    const reading = new WalReading(session, targets, filter);
    for await (const value of reading.values()) statistics.add(value.size());
    return {
      command: 'wal show',
      lines: [...statistics.lines(), ...reading.stops.map(({ line }) => line)],
      data: { ...statistics.data(), ...reading.facts() },
    };
  }
  return { command: 'wal show', listName: 'records', items: describeAll(session, targets, filter) };
}

async function* describeAll(
  session: Session,
  targets: readonly string[],
  filter: RecordFilter,
): AsyncGenerator<StreamedItem, StreamedEnd, undefined> {
  const reading = new WalReading(session, targets, filter);
  for await (const value of reading.values()) yield value.describe();
  return {
    lines: reading.isCut
      ? [`… more records (--limit=${filter.limit})`]
      : reading.stops.map(({ line }) => line),
    data: reading.facts(),
  };
}

/** Goes through what the targets name, and remembers where that ended. */
class WalReading {
  readonly stops: WalStop[] = [];
  /** There is more than `--limit` let through. */
  isCut = false;
  readonly #session: Session;
  readonly #targets: readonly string[];
  readonly #filter: RecordFilter;

  constructor(session: Session, targets: readonly string[], filter: RecordFilter) {
    this.#session = session;
    this.#targets = targets;
    this.#filter = filter;
  }

  async *values(): AsyncGenerator<WalValue, void, undefined> {
    const { args, signal } = this.#session;
    const { limit, resourceManagers } = this.#filter;
    await using opened = new OpenedStorages();
    const objects: WalObject[] = [];
    for (const target of this.#targets) objects.push(...(await findWal(this.#session, target, opened.own)));
    let count = 0;
    const values = readWalValues(objects, {
      filter: this.#filter,
      major: args.integer('pg_version'),
      signal,
      onStop: (stop) => this.stops.push(stop),
    });
    for await (const value of values) {
      if (resourceManagers !== undefined && !resourceManagers.has(value.resourceManager)) continue;
      this.isCut = count >= limit;
      if (this.isCut) return;
      count += 1;
      yield value;
    }
  }

  facts() {
    return { targets: this.#targets, ends: this.stops.map(({ value }) => value), complete: !this.isCut };
  }
}

class OpenedStorages implements AsyncDisposable {
  readonly #storages: Storage[] = [];

  readonly own = (storage: Storage): void => {
    this.#storages.push(storage);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    for (const storage of this.#storages) await storage[Symbol.asyncDispose]();
  }
}
