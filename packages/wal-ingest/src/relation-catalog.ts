import {
  DBDIR_KEY,
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSizeValue,
  encodeDbDirectory,
  encodeRelDirectory,
  encodeSizeValue,
  relBlockKey,
  relDirKey,
  relMapKey,
  relSizeKey,
} from '@neon-snapshot/neon-layer';
import { BLCKSZ, type ForkNumber, type RelTag } from '@neon-snapshot/postgres';
import type { Modification } from './modification.ts';

/** Relations whose facts are kept in memory; past this all are forgotten and read again. About 50 bytes each. */
const CACHED_RELATIONS_MAX = 500_000;
/** Tells relation forks apart within a database: relfilenumber × 4 + fork. */
const FORK_COUNT = 4;

export const ZERO_PAGE: Uint8Array = new Uint8Array(BLCKSZ);

/** One database's relation forks, as far as they are known. */
interface CachedDatabase {
  directory: Set<number> | undefined;
  readonly sizes: Map<number, number>;
}

/**
 * Which databases and relations there are and how large (specification 6.1, 8.2, 8.3). Reads what it does not know yet,
 * keeps it, and writes directories and sizes with the record that changes them.
 */
export class RelationCatalog {
  readonly #modification: Modification;
  /** Database → whether it has a relation map. */
  #databases: Map<string, boolean> | undefined;
  readonly #cache = new Map<string, CachedDatabase>();
  #cachedRelations = 0;
  /** The database of the last look, since records come in runs. */
  #last: { readonly spcNode: number; readonly dbNode: number; readonly database: CachedDatabase } | undefined;

  constructor(modification: Modification) {
    this.#modification = modification;
  }

  /** Between records only: frees memory where very many relations were seen. */
  relieve(): void {
    if (this.#cachedRelations <= CACHED_RELATIONS_MAX) return;
    this.#cache.clear();
    this.#last = undefined;
    this.#cachedRelations = 0;
  }

  /** The number of blocks of a relation fork where it is known without a read. */
  cachedSize(tag: RelTag): number | undefined {
    return this.#cached(tag).sizes.get(forkId(tag));
  }

  /** The number of blocks of a relation fork, or undefined where there is none. */
  async findSize(tag: RelTag): Promise<number | undefined> {
    const cached = this.cachedSize(tag);
    if (cached !== undefined) return cached;
    const databases = await this.#readDatabases();
    if (!databases.has(databaseId(tag))) return undefined;
    if (!(await this.#readDirectory(tag)).has(forkId(tag))) return undefined;
    const size = decodeSizeValue(await this.#modification.get(relSizeKey(tag)));
    this.#keepSize(tag, size);
    return size;
  }

  /** Adds a relation fork; one that is there already keeps its size, as `smgrcreate` leaves it in recovery. */
  async create(tag: RelTag, size = 0): Promise<void> {
    if ((await this.findSize(tag)) !== undefined) return;
    const databases = await this.#readDatabases();
    if (!databases.has(databaseId(tag))) await this.#addDatabase(tag, false);
    const directory = await this.#readDirectory(tag);
    directory.add(forkId(tag));
    this.#writeDirectory(tag, directory);
    this.#writeSize(tag, size);
  }

  /** Makes a relation fork, where it is missing, and lengthens it to `size` blocks. The block before last and those before it that are new become zeros. */
  async extend(tag: RelTag, size: number): Promise<void> {
    const before = await this.findSize(tag);
    if (before === undefined) await this.create(tag);
    else if (before >= size) return;
    this.#writeSize(tag, size);
    for (let block = before ?? 0; block < size - 1; block += 1) {
      this.#modification.putImage(relBlockKey(tag, block), ZERO_PAGE);
      await this.#modification.relieve();
    }
  }

  /** Sets the number of blocks of a relation fork; without effect where there is none. */
  async truncate(tag: RelTag, size: number): Promise<void> {
    if ((await this.findSize(tag)) !== undefined) this.#writeSize(tag, size);
  }

  /** Removes all forks of relations from their directories; those that are not there are passed over. */
  async drop(relations: readonly Omit<RelTag, 'forkNum'>[]): Promise<void> {
    const changed = new Map<string, RelTag>();
    const databases = relations.length === 0 ? undefined : await this.#readDatabases();
    for (const relation of relations) {
      if (databases?.has(databaseId(relation)) !== true) continue;
      const directory = await this.#readDirectory(relation);
      for (let forkNum = 0; forkNum < FORK_COUNT; forkNum += 1) {
        const tag = { ...relation, forkNum: forkNum as ForkNumber };
        if (!directory.delete(forkId(tag))) continue;
        this.#cached(tag).sizes.delete(forkId(tag));
        changed.set(databaseId(tag), tag);
      }
    }
    for (const tag of changed.values()) this.#writeDirectory(tag, await this.#readDirectory(tag));
  }

  /** All relation forks of a database, in key order. */
  async list(spcNode: number, dbNode: number): Promise<readonly RelTag[]> {
    const directory = await this.#readDirectory({ spcNode, dbNode });
    const ids = [...directory].sort((a, b) => a - b);
    return ids.map((id) => ({ spcNode, dbNode, ...forkOf(id) }));
  }

  /** Stores a relation map; a database that is new comes into being by it. */
  async putRelationMap(spcNode: number, dbNode: number, map: Uint8Array): Promise<void> {
    const databases = await this.#readDatabases();
    const had = databases.get(databaseId({ spcNode, dbNode }));
    if (had === undefined) {
      await this.#addDatabase({ spcNode, dbNode }, true);
      this.#writeDirectory({ spcNode, dbNode }, await this.#readDirectory({ spcNode, dbNode }));
    } else if (!had) {
      databases.set(databaseId({ spcNode, dbNode }), true);
      this.#writeDatabases(databases);
    }
    this.#modification.putImage(relMapKey(spcNode, dbNode), map);
  }

  /** Takes databases out of the directory; their keys stay behind and cannot be reached any more. */
  async dropDatabases(
    removed: readonly { readonly spcNode: number; readonly dbNode: number }[],
  ): Promise<void> {
    const databases = await this.#readDatabases();
    let isChanged = false;
    for (const database of removed) {
      this.#forget(database);
      if (databases.delete(databaseId(database))) isChanged = true;
    }
    if (isChanged) this.#writeDatabases(databases);
  }

  async #addDatabase(database: Database, hasRelationMap: boolean): Promise<void> {
    const databases = await this.#readDatabases();
    databases.set(databaseId(database), hasRelationMap);
    this.#writeDatabases(databases);
    this.#forget(database);
    this.#cached(database).directory = new Set();
  }

  async #readDatabases(): Promise<Map<string, boolean>> {
    if (this.#databases === undefined) {
      const entries = decodeDbDirectory(await this.#modification.get(DBDIR_KEY));
      this.#databases = new Map(entries.map((entry) => [databaseId(entry), entry.hasRelationMap]));
    }
    return this.#databases;
  }

  async #readDirectory(database: Database): Promise<Set<number>> {
    const cached = this.#cached(database);
    if (cached.directory === undefined) {
      const value = await this.#modification.get(relDirKey(database.spcNode, database.dbNode));
      cached.directory = new Set(decodeRelDirectory(value).map(forkId));
      this.#cachedRelations += cached.directory.size;
    }
    return cached.directory;
  }

  #writeDatabases(databases: ReadonlyMap<string, boolean>): void {
    const entries = [...databases].map(([id, hasRelationMap]) => ({ ...databaseOf(id), hasRelationMap }));
    this.#modification.putImage(DBDIR_KEY, encodeDbDirectory(entries));
  }

  #writeDirectory({ spcNode, dbNode }: Database, directory: ReadonlySet<number>): void {
    const entries = [...directory].map(forkOf);
    this.#modification.putImage(relDirKey(spcNode, dbNode), encodeRelDirectory(entries));
  }

  #writeSize(tag: RelTag, size: number): void {
    this.#keepSize(tag, size);
    this.#modification.putImage(relSizeKey(tag), encodeSizeValue(size));
  }

  #keepSize(tag: RelTag, size: number): void {
    const { sizes } = this.#cached(tag);
    if (!sizes.has(forkId(tag))) this.#cachedRelations += 1;
    sizes.set(forkId(tag), size);
  }

  #cached({ spcNode, dbNode }: Database): CachedDatabase {
    const last = this.#last;
    if (last !== undefined && last.dbNode === dbNode && last.spcNode === spcNode) return last.database;
    const id = databaseId({ spcNode, dbNode });
    const database = this.#cache.get(id) ?? { directory: undefined, sizes: new Map() };
    this.#cache.set(id, database);
    this.#last = { spcNode, dbNode, database };
    return database;
  }

  #forget(database: Database): void {
    this.#cache.delete(databaseId(database));
    this.#last = undefined;
  }
}

type Database = Pick<RelTag, 'spcNode' | 'dbNode'>;

function databaseId({ spcNode, dbNode }: Database): string {
  return `${spcNode}/${dbNode}`;
}

function databaseOf(id: string): Database {
  const [spcNode = 0, dbNode = 0] = id.split('/').map(Number);
  return { spcNode, dbNode };
}

function forkId({ relNode, forkNum }: { readonly relNode: number; readonly forkNum: number }): number {
  return relNode * FORK_COUNT + forkNum;
}

function forkOf(id: number): { readonly relNode: number; readonly forkNum: ForkNumber } {
  return { relNode: Math.floor(id / FORK_COUNT), forkNum: (id % FORK_COUNT) as ForkNumber };
}
