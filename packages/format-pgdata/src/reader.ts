import {
  assertKnownOptions,
  booleanOption,
  type DirectoryEntry,
  FormatError,
  type LinkEntry,
  PageFaultPolicy,
  type PlannedFile,
  type ReadContext,
  type SnapshotEntry,
  type SnapshotInfo,
  type SnapshotPartition,
  type SnapshotReader,
  type SnapshotTrailer,
  withEnd,
} from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { type ClusterControl, readControlBytes } from './cluster-control.ts';
import { TABLESPACE_DIRECTORY } from './data-directory-layout.ts';
import { readFiles } from './file-bodies.ts';
import { type DirectoryBackup, endingOf, walPathsOf } from './open-backup.ts';
import { openDirectory } from './open-directory.ts';
import { READ_OPTIONS } from './options.ts';
import { PageVerifier } from './page-verifier.ts';
import { splitPlan } from './partition-plan.ts';
import { checkRelationMaps } from './relation-maps.ts';
import { findShutdownCheckpoint, type ShutdownCheckpointPlace } from './shutdown-checkpoint.ts';
import { assertNotRunning } from './shutdown-state.ts';
import { findFeatures, planSnapshot, type SnapshotPlan } from './snapshot-plan.ts';
import { disposeAll, readSourceTree, type SourceFile, type SourceTree } from './source-tree.ts';

/**
 * Opens a data directory as a snapshot: checks that no server runs on it and that it was shut down cleanly (or recovers a
 * scratch copy), or is a base backup, which goes on as one; plans what will be read, and checks the relation maps. Reads no relation file.
 */
export async function openReader(context: ReadContext): Promise<SnapshotReader> {
  assertKnownOptions(context.options, READ_OPTIONS);
  const resources: AsyncDisposable[] = [];
  try {
    const { storage, control, backup } = await openDirectory(context, resources);
    const { services, signal } = context;
    const tree = await readSourceTree({ storage, services, postgresMajor: control.postgresMajor, signal });
    resources.push(...tree.linkedStorages);
    const { postgresMajor } = control;
    const place =
      backup === undefined
        ? await findShutdownCheckpoint({ tree, control, url: storage.url, signal })
        : undefined;
    const walPaths =
      place?.walPaths ?? (backup === undefined ? new Set<string>() : walPathsOf(tree, control, backup));
    const plan = planSnapshot({ tree, postgresMajor, walPaths, isBackup: backup !== undefined });
    const { concurrency } = context;
    // A backup may have got a map and the files that it names at different moments.
    if (backup === undefined)
      await checkRelationMaps({ plan, postgresMajor, url: storage.url, services, concurrency, signal });
    const ending = backup === undefined ? shutDownAt(control, place) : endingOf(backup);
    const info = describe({ control, tree, ending, plan });
    return new DataDirectoryReader({ context, storage, control, backup, plan, info, resources });
  } catch (error) {
    await disposeAll(resources);
    throw error;
  }
}

type Ending = Pick<SnapshotInfo, 'lsn' | 'previousRecordLsn' | 'timeLineId' | 'consistency'>;

function shutDownAt({ controlFile }: ClusterControl, place: ShutdownCheckpointPlace | undefined): Ending {
  if (place === undefined) throw new Error('a directory that is no backup has a shutdown checkpoint');
  return {
    lsn: place.recordEnd,
    previousRecordLsn: place.recordStart,
    timeLineId: controlFile.checkPointCopy.thisTimeLineId,
    consistency: { kind: 'consistent' },
  };
}

function describe(facts: {
  readonly control: ClusterControl;
  readonly tree: SourceTree;
  readonly ending: Ending;
  readonly plan: SnapshotPlan;
}): SnapshotInfo {
  const { controlFile, postgresMajor } = facts.control;
  return {
    systemIdentifier: controlFile.systemIdentifier,
    postgresMajor,
    catalogVersion: controlFile.catalogVersion,
    ...facts.ending,
    dataChecksums: controlFile.dataChecksumVersion === 1,
    walSegmentSizeBytes: controlFile.walSegmentSizeBytes,
    blockSizeBytes: controlFile.blockSizeBytes,
    tablespaces: facts.tree.tablespaces,
    bytesTotal: facts.plan.bytesTotal,
    features: findFeatures(facts.tree, controlFile),
  };
}

interface DataDirectoryReaderOptions {
  readonly context: ReadContext;
  readonly storage: Storage;
  readonly control: ClusterControl;
  readonly backup: DirectoryBackup | undefined;
  readonly plan: SnapshotPlan;
  readonly info: SnapshotInfo;
  readonly resources: readonly AsyncDisposable[];
}

class DataDirectoryReader implements SnapshotReader {
  readonly info: SnapshotInfo;
  readonly plan: readonly PlannedFile[];
  readonly #options: DataDirectoryReaderOptions;
  readonly #policy: PageFaultPolicy;

  constructor(options: DataDirectoryReaderOptions) {
    this.info = options.info;
    this.plan = options.plan.files;
    this.#options = options;
    this.#policy = new PageFaultPolicy({
      ignore: booleanOption(options.context.options, 'ignore_page_errors', { fallback: false }),
      warn: (message) => options.context.services.warn(message),
    });
  }

  partitions(countMax: number): readonly SnapshotPartition[] {
    const runs = splitPlan(this.#options.plan.files, countMax);
    const readAheadCountMax = Math.floor(this.#options.context.concurrency / runs.length);
    return runs.map((files, index) => ({
      id: `${index}`,
      plan: files,
      entries: withEnd(this.#entries({ files, readAheadCountMax, isFirst: index === 0 })),
    }));
  }

  async finish(): Promise<SnapshotTrailer> {
    this.#policy.summarize();
    const { storage, control, backup, context } = this.#options;
    await assertNotRunning(storage, context);
    const bytes = await readControlBytes(storage, context);
    if (Buffer.compare(bytes, control.bytes) !== 0) {
      throw new FormatError({
        code: 'FORMAT_RUNNING',
        operation: 'finish reading',
        message: `pg_control of ${storage.url} changed while the directory was read: a server ran on it; stop it and start again`,
      });
    }
    if (backup === undefined) return { controlFile: control.bytes };
    return { controlFile: control.bytes, backup: { label: backup.bytes, walRanges: backup.walRanges } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll(this.#options.resources);
  }

  async *#entries(run: {
    readonly files: readonly SourceFile[];
    readonly readAheadCountMax: number;
    readonly isFirst: boolean;
  }): AsyncGenerator<Exclude<SnapshotEntry, { kind: 'end' }>, void, undefined> {
    if (run.isFirst) yield* this.#directoriesAndLinks();
    const { files, readAheadCountMax } = run;
    const { signal } = this.#options.context;
    const verifier = this.#verifiesPages() ? new PageVerifier(this.#policy) : undefined;
    yield* readFiles({ files, readAheadCountMax, verifier, signal });
  }

  /** Parents before children; a link before what is in it. */
  #directoriesAndLinks(): readonly (DirectoryEntry | LinkEntry)[] {
    const links = this.info.tablespaces
      .map(({ oid, location }) => ({ path: `${TABLESPACE_DIRECTORY}/${oid}`, location }))
      .filter(({ path, location }) => path !== location)
      .map(({ path, location }) => ({ kind: 'link', path, target: location }) as const);
    const directories = this.#options.plan.directories.map((path) => ({ kind: 'directory', path }) as const);
    return [...directories, ...links].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #verifiesPages(): boolean {
    const { options, pagesVerifiedDownstream } = this.#options.context;
    // Pages of a backup may have been copied half written; its WAL brings those whole.
    if (this.#options.backup !== undefined) return false;
    if (!this.info.dataChecksums || pagesVerifiedDownstream === true) return false;
    return booleanOption(options, 'verify_checksums', { fallback: true });
  }
}
