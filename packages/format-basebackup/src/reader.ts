import {
  assertKnownOptions,
  type EndEntry,
  FormatError,
  type ReadContext,
  type SnapshotEntry,
  type SnapshotInfo,
  type SnapshotPartition,
  type SnapshotReader,
  type SnapshotTrailer,
  withEnd,
} from '@neon-snapshot/format-core';
import {
  CLUSTER_STATE,
  decodeBackupLabel,
  decodeControlFile,
  type ManifestWalRange,
} from '@neon-snapshot/postgres';
import { type BackupFacts, readFacts } from './backup-facts.ts';
import { type BackupSet, findBackup, type StoredTar } from './backup-set.ts';
import { ClusterRemains, clusterEntries } from './cluster-entries.ts';
import { type Combination, openCombination } from './incremental/combination.ts';
import { wholeLabel } from './incremental/whole-label.ts';
import { BACKUP_LABEL_PATH, CONTROL_FILE_PATH, MANIFEST_NAME } from './layout.ts';
import { ManifestCheck, type ManifestFault } from './manifest-check.ts';
import { READ_OPTIONS } from './options.ts';
import { readMembers } from './tar-members.ts';
import { UnloggedRelations } from './unlogged.ts';
import { assertWalCovers } from './wal-coverage.ts';

/** Opens a backup: its manifest, the head of base.tar, and the facts of its cluster. */
export async function openReader(context: ReadContext): Promise<SnapshotReader> {
  assertKnownOptions(context.options, READ_OPTIONS);
  const { storage, signal } = context;
  const set = await findBackup({ storage, signal });
  if (set.manifest === undefined) {
    context.services.warn(`${storage.url} has no ${MANIFEST_NAME}: nothing there can be checked against it`);
  }
  return openFound(context, set);
}

export interface OpenFoundOptions {
  /** Takes differences from the manifest, to go on behind them. */
  readonly onFault?: (fault: ManifestFault) => void;
  /** Have `info.dataChecksums` right in any case; costs a reading of base.tar where pg_control is not found at once. */
  readonly needsControlFile?: boolean;
}

/** The same for a backup whose objects are known. */
export async function openFound(
  context: ReadContext,
  set: BackupSet,
  options: OpenFoundOptions = {},
): Promise<SnapshotReader> {
  const { storage, signal } = context;
  const { onFault, needsControlFile } = options;
  const facts = await readFacts({ storage, set, signal, needsControlFile });
  const { systemIdentifier } = facts.info;
  const label = facts.head.label?.decoded;
  const combination = await openCombination(context, { label, systemIdentifier });
  return new BackupReader({ context, set, facts, combination, onFault });
}

interface BackupReaderOptions {
  readonly context: ReadContext;
  readonly set: BackupSet;
  readonly facts: BackupFacts;
  readonly combination: Combination | undefined;
  readonly onFault: ((fault: ManifestFault) => void) | undefined;
}

/** Tars are read from their start to their end, each once; there is no plan. */
class BackupReader implements SnapshotReader {
  readonly info: SnapshotInfo;
  readonly #options: BackupReaderOptions;
  readonly #remains = new ClusterRemains();
  readonly #check: ManifestCheck;
  readonly #unlogged: UnloggedRelations;

  constructor(options: BackupReaderOptions) {
    this.info = infoOf(options);
    this.#options = options;
    const { set, context, onFault } = options;
    const { manifest } = set;
    this.#check = new ManifestCheck(manifest, { url: context.storage.url, onFault });
    this.#unlogged = new UnloggedRelations(manifest?.files.map(({ path }) => path) ?? []);
  }

  partitions(countMax: number): readonly SnapshotPartition[] {
    const { base, wal, tablespaces } = this.#options.set;
    const groups = groupBySize([...tablespaces, ...(wal === undefined ? [] : [wal]), base], countMax);
    return groups.map((tars, index) => ({ id: `${index}`, entries: withEnd(this.#entries(tars)) }));
  }

  async finish(): Promise<SnapshotTrailer> {
    this.#check.finish();
    const { controlFile, label, walNames } = this.#remains;
    const { url } = this.#options.context.storage;
    if (controlFile === undefined) throw missing(url, CONTROL_FILE_PATH);
    const { consistency, walSegmentSizeBytes } = this.info;
    if (consistency.kind === 'consistent') {
      assertShutDown(controlFile, url);
      return { controlFile };
    }
    if (label === undefined) throw missing(url, BACKUP_LABEL_PATH);
    const walRanges = this.#options.set.manifest?.walRanges ?? [rangeOf(label)];
    assertWalCovers(walRanges, { names: walNames, walSegmentSizeBytes, url });
    this.#warn();
    return { controlFile, backup: { label: wholeLabel(label), walRanges } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.combination?.[Symbol.asyncDispose]();
  }

  #warn(): void {
    const warning = this.#options.combination?.warning();
    if (warning !== undefined) this.#options.context.services.warn(warning);
  }

  async *#entries(
    tars: readonly StoredTar[],
  ): AsyncGenerator<Exclude<SnapshotEntry, EndEntry>, void, undefined> {
    const { storage, signal } = this.#options.context;
    for (const tar of tars) {
      const { role } = tar;
      const members = readMembers({ storage, tar, signal });
      yield* clusterEntries(members, {
        role,
        check: this.#check,
        remains: this.#remains,
        unlogged: this.#unlogged,
        combination: this.#options.combination,
      });
    }
  }
}

/** Of an incremental backup: what it will be as a whole. */
function infoOf({ facts, set, combination }: BackupReaderOptions): SnapshotInfo {
  const { info } = facts;
  const { consistency } = info;
  if (combination === undefined || consistency.kind !== 'needs-wal') return info;
  const { backupLabel } = consistency;
  const bytesTotal = combination.bytesOf(set.manifest);
  return {
    ...info,
    ...(bytesTotal === undefined ? {} : { bytesTotal }),
    consistency: {
      ...consistency,
      ...(backupLabel === undefined ? {} : { backupLabel: wholeLabel(backupLabel) }),
    },
  };
}

/** Largest first, each to the group with the least so far. */
function groupBySize(tars: readonly StoredTar[], countMax: number): StoredTar[][] {
  const groups = Array.from({ length: Math.max(1, Math.min(countMax, tars.length)) }, () => ({
    tars: [] as StoredTar[],
    sizeBytes: 0,
  }));
  for (const tar of tars.toSorted((a, b) => b.sizeBytes - a.sizeBytes)) {
    const least = groups.reduce((best, other) => (other.sizeBytes < best.sizeBytes ? other : best));
    least.tars.push(tar);
    least.sizeBytes += tar.sizeBytes;
  }
  return groups.map((group) => group.tars);
}

/** Without a manifest nothing says where the backup ended: its checkpoint is a place that it needs in any case. */
function rangeOf(label: Uint8Array): ManifestWalRange {
  const { startTimeLineId, startWalLocation, checkpointLocation } = decodeBackupLabel(label);
  return { timeLineId: startTimeLineId, startLsn: startWalLocation, endLsn: checkpointLocation };
}

function assertShutDown(controlFile: Uint8Array, url: string): void {
  if (decodeControlFile(controlFile).state === CLUSTER_STATE.shutDown) return;
  throw missing(url, BACKUP_LABEL_PATH);
}

function missing(url: string, path: string): FormatError {
  return new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'read backup',
    message: `no tar in ${url} has ${path}; the backup is incomplete`,
    context: { path },
  });
}
