/* A cleanly stopped data directory as the state of a timeline: what an import of it would store, read when asked for. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import {
  encodeDbDirectory,
  encodeRelDirectory,
  encodeSizeValue,
  encodeSlruSegmentDirectory,
  encodeTwoPhaseDirectory,
  parseKey,
} from '@neon-snapshot/neon-layer';
import {
  BLCKSZ,
  type ControlFile,
  decodeControlFile,
  encodeCheckPoint,
  formatRelationPath,
  formatSlruPath,
  parseRelationPath,
  parseSlruPath,
  type RelTag,
  SLRU_PAGES_PER_SEGMENT,
  type SlruKind,
} from '@neon-snapshot/postgres';
import type { TimelineState } from '../timeline-state.ts';

const SLRU_DIRECTORIES = ['pg_xact', 'pg_multixact/offsets', 'pg_multixact/members'];

/** Relations are small here: their first file is all of them. */
export class PgdataState implements TimelineState {
  readonly control: ControlFile;
  readonly relations: readonly RelTag[];
  readonly segments: readonly { readonly kind: SlruKind; readonly segno: number }[];
  readonly #directory: string;
  readonly #major: number;

  constructor(directory: string, major: number) {
    this.#directory = directory;
    this.#major = major;
    this.control = decodeControlFile(readFileSync(path.join(directory, 'global/pg_control')));
    const databases = readdirSync(path.join(directory, 'base')).filter((name) => /^\d+$/.test(name));
    this.relations = ['global', ...databases.map((name) => `base/${name}`)].flatMap((folder) =>
      this.#names(folder).flatMap((name) => parseRelationPath(name)?.tag ?? []),
    );
    this.segments = SLRU_DIRECTORIES.flatMap((folder) =>
      this.#names(folder).flatMap((name) => parseSlruPath(name) ?? []),
    );
  }

  async getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)));
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const parsed = parseKey(key);
    switch (parsed.kind) {
      case 'checkpoint':
        return encodeCheckPoint(this.control.checkPointCopy, this.#major);
      case 'two-phase-directory':
        return encodeTwoPhaseDirectory([], this.#major);
      case 'db-directory':
        return encodeDbDirectory(this.databases().map((database) => ({ ...database, hasRelationMap: true })));
      case 'relation-map':
        return this.#read(path.join(databaseFolder(parsed.spcNode, parsed.dbNode), 'pg_filenode.map'));
      case 'relation-directory':
        return encodeRelDirectory(
          this.relations.filter(
            ({ spcNode, dbNode }) => spcNode === parsed.spcNode && dbNode === parsed.dbNode,
          ),
        );
      case 'relation-size':
        return this.#size(formatRelationPath(parsed.tag, 0));
      case 'relation-block':
        return this.#page(formatRelationPath(parsed.tag, 0), parsed.blockNumber);
      case 'slru-directory':
        return encodeSlruSegmentDirectory(
          this.segments.flatMap(({ kind, segno }) => (kind === parsed.slru ? [segno] : [])),
        );
      case 'slru-size':
        return this.#size(formatSlruPath(parsed.slru, parsed.segno));
      case 'slru-block':
        return this.#page(
          formatSlruPath(parsed.slru, parsed.segno),
          parsed.blockNumber % SLRU_PAGES_PER_SEGMENT,
        );
      default:
        return undefined;
    }
  }

  databases(): readonly { readonly spcNode: number; readonly dbNode: number }[] {
    const seen = new Map(this.relations.map(({ spcNode, dbNode }) => [dbNode, { spcNode, dbNode }]));
    return [...seen.values()];
  }

  #names(folder: string): readonly string[] {
    return readdirSync(path.join(this.#directory, folder)).map((name) => `${folder}/${name}`);
  }

  #size(file: string): Uint8Array | undefined {
    const full = path.join(this.#directory, file);
    return existsSync(full) ? encodeSizeValue(statSync(full).size / BLCKSZ) : undefined;
  }

  #page(file: string, block: number): Uint8Array | undefined {
    const page = this.#read(file)?.subarray(block * BLCKSZ, (block + 1) * BLCKSZ);
    return page?.length === BLCKSZ ? page : undefined;
  }

  #read(file: string): Uint8Array | undefined {
    const full = path.join(this.#directory, file);
    return existsSync(full) ? readFileSync(full) : undefined;
  }
}

function databaseFolder(spcNode: number, dbNode: number): string {
  return spcNode === 1664 ? 'global' : `base/${dbNode}`;
}
