import {
  DBDIR_KEY,
  decodeDbDirectory,
  decodeRelDirectory,
  decodeSizeValue,
  decodeSlruSegmentDirectory,
  relBlockKey,
  relDirKey,
  relSizeKey,
  slruBlockKey,
  slruDirKey,
  slruSizeKey,
} from '@neon-snapshot/neon-layer';
import {
  BLCKSZ,
  DEFAULT_TABLESPACE_OID,
  formatLsn,
  type Lsn,
  type RelTag,
  type SlruKind,
} from '@neon-snapshot/postgres';
import { keyId } from '../ingest/key-id.ts';
import { PageServerError } from '../page-server-error.ts';
import { LatestValues } from './latest-values.ts';
import type { CallOptions } from './timeline-types.ts';

/** The reads of a timeline that this builds on. */
export interface KeyReads {
  get(key: Uint8Array, lsn: Lsn, options?: CallOptions): Promise<Uint8Array | undefined>;
  getMany(
    keys: readonly Uint8Array[],
    lsn: Lsn,
    options?: CallOptions,
  ): Promise<readonly (Uint8Array | undefined)[]>;
}

const FORK_COUNT = 4;

/** Which relations and SLRU segments there are at an LSN, how large, and their pages. */
export class RelationFacts {
  readonly #reads: KeyReads;
  readonly #databases: LatestValues<ReadonlySet<string>>;
  readonly #relations: LatestValues<ReadonlySet<number>>;
  readonly #sizes: LatestValues<number | undefined>;

  constructor(reads: KeyReads, isNewest: (id: string, lsn: Lsn) => boolean) {
    this.#reads = reads;
    this.#databases = new LatestValues(isNewest);
    this.#relations = new LatestValues(isNewest);
    this.#sizes = new LatestValues(isNewest);
  }

  /** To be told of every key that is written. */
  onWrite(key: Uint8Array): void {
    // Sizes end with the block number FFFFFFFF; directories have no relation.
    if (key[14] === 0xff && key[15] === 0xff) this.#sizes.forget(keyId(key));
    else if (key[0] === 0 && key[9] === 0 && key[10] === 0 && key[11] === 0 && key[12] === 0) {
      const id = keyId(key);
      this.#databases.forget(id);
      this.#relations.forget(id);
    }
  }

  /** Blocks of a relation fork, or undefined where there is none. */
  async relSize(tag: RelTag, lsn: Lsn, options: CallOptions): Promise<number | undefined> {
    if (!(await this.relExists(tag, lsn, options))) return undefined;
    const key = relSizeKey(tag);
    return this.#sizes.get(keyId(key), lsn, async () => {
      const value = await this.#reads.get(key, lsn, options);
      return value === undefined ? undefined : decodeSizeValue(value);
    });
  }

  async relExists(tag: RelTag, lsn: Lsn, options: CallOptions): Promise<boolean> {
    const databases = await this.#readDatabases(lsn, options);
    if (!databases.has(`${tag.spcNode}/${tag.dbNode}`)) return false;
    return (await this.#readRelations(tag, lsn, options)).has(tag.relNode * FORK_COUNT + tag.forkNum);
  }

  async page(tag: RelTag, blockNumber: number, lsn: Lsn, options: CallOptions): Promise<Uint8Array> {
    const size = await this.relSize(tag, lsn, options);
    if (size === undefined) throw noRelation(tag, lsn);
    if (blockNumber >= size) return new Uint8Array(BLCKSZ);
    const page = await this.#reads.get(relBlockKey(tag, blockNumber), lsn, options);
    if (page === undefined) throw noPage(tag, blockNumber, lsn);
    return page;
  }

  /** Neon counts the default tablespace only. */
  async dbSize(dbNode: number, lsn: Lsn, options: CallOptions): Promise<number> {
    const spcNode = DEFAULT_TABLESPACE_OID;
    const databases = await this.#readDatabases(lsn, options);
    if (!databases.has(`${spcNode}/${dbNode}`)) return 0;
    const forks = [...(await this.#readRelations({ spcNode, dbNode }, lsn, options))].sort((a, b) => a - b);
    const keys = forks.map((fork) =>
      relSizeKey({
        spcNode,
        dbNode,
        relNode: Math.floor(fork / FORK_COUNT),
        forkNum: (fork % FORK_COUNT) as RelTag['forkNum'],
      }),
    );
    const sizes = await this.#reads.getMany(keys, lsn, options);
    return sizes.reduce((sum, size) => sum + (size === undefined ? 0 : decodeSizeValue(size)), 0) * BLCKSZ;
  }

  async slruSegment(
    kind: SlruKind,
    segno: number,
    lsn: Lsn,
    options: CallOptions,
  ): Promise<Uint8Array | undefined> {
    const directory = await this.#reads.get(slruDirKey(kind), lsn, options);
    if (directory === undefined || !decodeSlruSegmentDirectory(directory).includes(segno)) return undefined;
    const size = await this.#reads.get(slruSizeKey(kind, segno), lsn, options);
    const blockCount = size === undefined ? 0 : decodeSizeValue(size);
    const keys = Array.from({ length: blockCount }, (_, block) => slruBlockKey(kind, segno, block));
    const pages = await this.#reads.getMany(keys, lsn, options);
    const segment = new Uint8Array(blockCount * BLCKSZ);
    // A clog page may carry a time of commit behind its 8192 bytes.
    for (const [block, page] of pages.entries())
      if (page !== undefined) segment.set(page.subarray(0, BLCKSZ), block * BLCKSZ);
    return segment;
  }

  #readDatabases(lsn: Lsn, options: CallOptions): Promise<ReadonlySet<string>> {
    return this.#databases.get(keyId(DBDIR_KEY), lsn, async () => {
      const value = await this.#reads.get(DBDIR_KEY, lsn, options);
      const entries = value === undefined ? [] : decodeDbDirectory(value);
      return new Set(entries.map(({ spcNode, dbNode }) => `${spcNode}/${dbNode}`));
    });
  }

  #readRelations(
    { spcNode, dbNode }: Pick<RelTag, 'spcNode' | 'dbNode'>,
    lsn: Lsn,
    options: CallOptions,
  ): Promise<ReadonlySet<number>> {
    const key = relDirKey(spcNode, dbNode);
    return this.#relations.get(keyId(key), lsn, async () => {
      const value = await this.#reads.get(key, lsn, options);
      const entries = value === undefined ? [] : decodeRelDirectory(value);
      return new Set(entries.map(({ relNode, forkNum }) => relNode * FORK_COUNT + forkNum));
    });
  }
}

function describe({ spcNode, dbNode, relNode, forkNum }: RelTag): string {
  return `${spcNode}/${dbNode}/${relNode} fork ${forkNum}`;
}

function noRelation(tag: RelTag, lsn: Lsn): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_NOT_FOUND',
    operation: 'read',
    message: `there is no relation ${describe(tag)} at ${formatLsn(lsn)}`,
    context: { relation: describe(tag), lsn: formatLsn(lsn) },
  });
}

function noPage(tag: RelTag, blockNumber: number, lsn: Lsn): PageServerError {
  return new PageServerError({
    code: 'PAGESERVER_INVALID_STATE',
    operation: 'read',
    message: `block ${blockNumber} of relation ${describe(tag)} has no value at ${formatLsn(lsn)}, though the relation is larger`,
    context: { relation: describe(tag), blockNumber, lsn: formatLsn(lsn) },
  });
}
