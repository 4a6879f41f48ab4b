import type { FrameThreads } from '@neon-snapshot/archive';
import {
  FormatError,
  standardDirectories,
  type Tablespace,
  type WriteContext,
} from '@neon-snapshot/format-core';
import { encodeTablespaceMap, tablespaceVersionDirectory } from '@neon-snapshot/postgres';
import { TABLESPACE_DIRECTORY, TABLESPACE_MAP_PATH, type TarRole, WAL_DIRECTORY } from './layout.ts';
import type { Compression } from './options.ts';
import { type SinkFile, TarSink } from './tar-sink.ts';

export interface BackupTarsOptions {
  readonly context: WriteContext;
  readonly compression: Compression;
  readonly threads: FrameThreads;
}

/** The tars of one backup: sends each path to the one that it belongs to. */
export class BackupTars {
  readonly #options: BackupTarsOptions;
  readonly #base: TarSink;
  /** By OID; of tablespaces that are linked. Those in place lie in base.tar. */
  readonly #tablespaces: ReadonlyMap<string, TarSink>;
  #wal: TarSink | undefined;

  constructor(options: BackupTarsOptions) {
    this.#options = options;
    this.#base = this.#sink({ kind: 'base' });
    this.#tablespaces = new Map(
      this.#linked().map(({ oid }) => [`${oid}`, this.#sink({ kind: 'tablespace', oid })]),
    );
  }

  /** Where recovery has to link the tablespaces to. A cluster that needs none has links in its tar instead. */
  tablespaceMap(): { readonly path: string; readonly bytes: Uint8Array } | undefined {
    const linked = this.#linked();
    if (linked.length === 0 || this.#isConsistent()) return undefined;
    const bytes = encodeTablespaceMap(linked.map(({ oid, location }) => ({ oid, path: location })));
    return { path: TABLESPACE_MAP_PATH, bytes };
  }

  async addStandardDirectories(): Promise<void> {
    const { postgresMajor } = this.#options.context.source.info;
    for (const path of standardDirectories(postgresMajor)) await this.#base.addDirectory(path);
    for (const { oid, location } of this.#linked()) {
      if (this.#isConsistent()) await this.#base.addLink(`${TABLESPACE_DIRECTORY}/${oid}`, location);
      await this.#tablespaces.get(`${oid}`)?.addDirectory(tablespaceVersionDirectory(postgresMajor));
    }
  }

  addDirectory(path: string): Promise<void> {
    // The directories of pg_wal belong to the data directory, what lies in them does not.
    if (path.startsWith(`${WAL_DIRECTORY}/`)) return this.#base.addDirectory(path);
    const { sink, name } = this.#placeOf(path);
    return sink.addDirectory(name);
  }

  /** Links are made of the facts of the snapshot; an entry may only confirm one. */
  assertLink(path: string): void {
    if (this.#linked().some(({ oid }) => path === `${TABLESPACE_DIRECTORY}/${oid}`)) return;
    throw new FormatError({
      code: 'FORMAT_INVALID',
      operation: 'write link',
      message: `the snapshot has a link ${path} to a tablespace that it does not name`,
      context: { path },
    });
  }

  /** Returns the CRC-32C of the body. */
  addFile(path: string, file: Omit<SinkFile, 'name'>): Promise<number> {
    const { sink, name } = this.#placeOf(path);
    return sink.addFile({ ...file, name });
  }

  /** Ends every tar, base.tar last; their stored sizes. */
  async end(): Promise<number[]> {
    const others = [...this.#tablespaces.values(), ...(this.#wal === undefined ? [] : [this.#wal])];
    const sizes = await Promise.all(others.map((sink) => sink.end()));
    return [...sizes, await this.#base.end()];
  }

  async abort(): Promise<void> {
    const all = [this.#base, ...this.#tablespaces.values(), ...(this.#wal === undefined ? [] : [this.#wal])];
    await Promise.all(all.map((sink) => sink.abort()));
  }

  #placeOf(path: string): { readonly sink: TarSink; readonly name: string } {
    const [top, second = '', ...rest] = path.split('/');
    if (top === WAL_DIRECTORY && second !== '') {
      this.#wal ??= this.#sink({ kind: 'wal' });
      return { sink: this.#wal, name: path.slice(WAL_DIRECTORY.length + 1) };
    }
    const tablespace = top === TABLESPACE_DIRECTORY ? this.#tablespaces.get(second) : undefined;
    return tablespace === undefined
      ? { sink: this.#base, name: path }
      : { sink: tablespace, name: rest.join('/') };
  }

  #linked(): readonly Tablespace[] {
    const { tablespaces } = this.#options.context.source.info;
    return tablespaces.filter(({ oid, location }) => location !== `${TABLESPACE_DIRECTORY}/${oid}`);
  }

  #isConsistent(): boolean {
    return this.#options.context.source.info.consistency.kind === 'consistent';
  }

  #sink(role: TarRole): TarSink {
    const { context, compression, threads } = this.#options;
    const { storage, services, signal } = context;
    return new TarSink({ storage, role, compression, threads, now: services.now(), signal });
  }
}
