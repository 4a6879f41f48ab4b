import { tmpdir } from 'node:os';
import {
  type FileEntry,
  FormatError,
  listOption,
  type ReadContext,
  releaseChunk,
  stringOption,
} from '@neon-snapshot/format-core';
import type { BackupLabel, BackupManifest } from '@neon-snapshot/postgres';
import { type Storage, withPrefix } from '@neon-snapshot/storage-core';
import { isVisibilityMap, pathOfIncremental } from './incremental-file.ts';
import { assertChain, openParent, type ParentBackup } from './parent-backup.ts';
import { rebuildFile } from './rebuild-file.ts';

export interface IncrementalMember {
  /** Of the whole file. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  readonly body: AsyncIterable<Uint8Array>;
}

/** The backups that an incremental one goes on from, and what is made of them. Dispose to remove what was unpacked. */
export class Combination implements AsyncDisposable {
  /** Newest first. */
  readonly #parents: readonly ParentBackup[];
  readonly #close: () => Promise<void>;
  #visibilityMaps = 0;

  constructor(parents: readonly ParentBackup[], close: () => Promise<void>) {
    this.#parents = parents;
    this.#close = close;
  }

  /**
   * The whole file, or undefined for one that is left out, whose body is drained: WAL summaries miss cleared bits of visibility maps
   * (17 and 18), so that a map made of older blocks could hide deleted rows. A map that is missing is legal; VACUUM makes it.
   */
  async entryOf(member: IncrementalMember): Promise<FileEntry | undefined> {
    const { path, modifiedAt, sizeBytes, body } = member;
    if (isVisibilityMap(path)) {
      for await (const chunk of body) releaseChunk(chunk);
      this.#visibilityMaps += 1;
      return undefined;
    }
    const file = await rebuildFile({ path, sizeBytes, body, parents: this.#parents });
    return { kind: 'file', path, modifiedAt, sizeBytes: file.sizeBytes, body: file.body };
  }

  /** About what the whole backup has; undefined without a manifest. */
  bytesOf(manifest: BackupManifest | undefined): number | undefined {
    return manifest?.files.reduce((sum, { path, size }) => {
      const whole = pathOfIncremental(path);
      const found =
        whole === undefined ? undefined : this.#parents.find((parent) => parent.find(whole))?.find(whole);
      return sum + Math.max(size, found?.sizeBytes ?? 0);
    }, 0);
  }

  /** What a user should know. */
  warning(): string | undefined {
    if (this.#visibilityMaps === 0) return undefined;
    return `${this.#visibilityMaps} visibility maps of the incremental backup were left out, because servers of 17 and 18 make them incompletely; VACUUM makes them again`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

/** Opens the backups of the option `parents`; undefined for a backup that is not incremental. */
export async function openCombination(
  context: ReadContext,
  newest: { readonly label: BackupLabel | undefined; readonly systemIdentifier: bigint },
): Promise<Combination | undefined> {
  const urls = listOption(context.options, 'parents');
  const { label, systemIdentifier } = newest;
  const { storage, services } = context;
  if (label?.incrementalFrom === undefined) {
    if (urls.length === 0) return undefined;
    throw optionError(`${storage.url} is no incremental backup; leave the option parents out`);
  }
  if (urls.length === 0) {
    throw new FormatError({
      code: 'FORMAT_UNSUPPORTED',
      operation: 'open backup',
      message: `${storage.url} is an incremental backup, which is nothing without those before it: name them with the option parents, the full one first`,
    });
  }
  const opened: Storage[] = [];
  const scratch = new ParentScratch(context);
  const close = async () => {
    for (const one of opened) await one[Symbol.asyncDispose]();
    await scratch.remove();
  };
  try {
    const parents: ParentBackup[] = [];
    for (const [index, url] of urls.entries()) {
      const at = await services.openStorage(url, { access: 'read' });
      opened.push(at);
      const openScratch = () => scratch.open();
      parents.push(await openParent({ context, storage: at, openScratch, name: `${index}` }));
    }
    assertChain([...parents, { url: storage.url, label, systemIdentifier }]);
    return new Combination(parents.reverse(), close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** A directory for the plain tars of compressed parents. */
class ParentScratch {
  readonly #context: ReadContext;
  readonly #directory: string;
  #root: Storage | undefined;

  constructor(context: ReadContext) {
    this.#context = context;
    const random = Buffer.from(context.services.randomBytes(8)).toString('hex');
    this.#directory = `neon-parents-${random}`;
  }

  async open(): Promise<Storage> {
    const { services, options } = this.#context;
    const parent = stringOption(options, 'scratch_directory') ?? tmpdir();
    this.#root ??= await services.openStorage(parent, { access: 'write' });
    return withPrefix(this.#root, { prefix: this.#directory });
  }

  async remove(): Promise<void> {
    const root = this.#root;
    if (root === undefined) return;
    const keys: string[] = [];
    for await (const { objects } of root.list({ prefix: `${this.#directory}/` })) {
      keys.push(...objects.map(({ key }) => key));
    }
    await root.delete(keys);
    await root.delete([`${this.#directory}/`]);
    await root[Symbol.asyncDispose]();
  }
}

function optionError(message: string): FormatError {
  return new FormatError({
    code: 'FORMAT_OPTION',
    operation: 'read options',
    message,
    context: { option: 'parents' },
  });
}
