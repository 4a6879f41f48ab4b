import { FormatError, fileFault, type SnapshotInfo } from '@neon-snapshot/format-core';
import {
  type BackupManifest,
  BLCKSZ,
  CLUSTER_STATE,
  CONTROL_FILE_SIZE,
  catalogVersionOf,
  clusterStates,
  decodeControlFile,
  type Lsn,
  majorOfCatalogVersion,
} from '@neon-snapshot/postgres';
import type { Storage } from '@neon-snapshot/storage-core';
import type { BackupSet } from './backup-set.ts';
import { allTablespaces, type BaseHead, readBaseHead } from './base-head.ts';
import { findControlFile } from './control-tail.ts';
import { BACKUP_LABEL_PATH, CONTROL_FILE_PATH } from './layout.ts';
import { readMembers, readSmallMember, type TarPlace } from './tar-members.ts';
import { readWalFacts, type WalFacts } from './wal-facts.ts';

export interface BackupFacts {
  readonly info: SnapshotInfo;
  readonly head: BaseHead;
}

/** Facts of the cluster: all of them from pg_control, fewer from a page of WAL. */
interface ClusterFacts extends WalFacts {
  readonly catalogVersion: number;
  readonly blockSizeBytes: number;
  readonly dataChecksums: boolean;
  readonly commitTimestamps: boolean;
  readonly state?: number;
  readonly checkPoint?: Lsn;
}

export interface ReadFactsOptions {
  readonly storage: Storage;
  readonly set: BackupSet;
  readonly signal?: AbortSignal | undefined;
  /** Don't be content with a page of WAL, which says less. */
  readonly needsControlFile?: boolean | undefined;
}

/**
 * What is known of a backup before its files are read: from its manifest, the first members of base.tar, and pg_control where that
 * is found at once, else the first page of WAL. Only where neither is there base.tar is read through to pg_control.
 */
export async function readFacts(options: ReadFactsOptions): Promise<BackupFacts> {
  const { set, storage, signal } = options;
  const base = { storage, tar: set.base, signal };
  const head = await readBaseHead(base);
  const cluster = await readClusterFacts(options, base);
  const { manifest } = set;
  const found = manifest?.systemIdentifier;
  if (found !== undefined && found !== cluster.systemIdentifier) {
    throw invalid(
      storage,
      `backup_manifest is of the cluster ${found}, ${set.base.key} of ${cluster.systemIdentifier}; they are of two backups`,
    );
  }
  const oids = set.tablespaces.map(({ role }) => role.oid);
  const info: SnapshotInfo = {
    systemIdentifier: cluster.systemIdentifier,
    postgresMajor: cluster.postgresMajor,
    catalogVersion: cluster.catalogVersion,
    ...ending({ head, manifest, cluster, storage }),
    dataChecksums: cluster.dataChecksums,
    walSegmentSizeBytes: cluster.walSegmentSizeBytes,
    blockSizeBytes: cluster.blockSizeBytes,
    tablespaces: allTablespaces(head, oids),
    ...(manifest === undefined ? {} : { bytesTotal: bytesOf(manifest, cluster.walSegmentSizeBytes) }),
    features: { replicationSlots: [], commitTimestamps: cluster.commitTimestamps, statistics: false },
  };
  return { info, head };
}

async function readClusterFacts(
  { set, storage, signal, needsControlFile = false }: ReadFactsOptions,
  base: TarPlace,
): Promise<ClusterFacts> {
  const atTail = await findControlFile(base);
  if (atTail !== undefined) return factsOfControl(atTail, storage);
  const wal =
    set.wal === undefined || needsControlFile
      ? undefined
      : await readWalFacts({ storage, tar: set.wal, signal });
  if (wal !== undefined) {
    return {
      ...wal,
      catalogVersion: catalogVersionOf(wal.postgresMajor),
      blockSizeBytes: BLCKSZ,
      dataChecksums: false,
      commitTimestamps: false,
    };
  }
  for await (const member of readMembers(base)) {
    if (member.path !== CONTROL_FILE_PATH) continue;
    return factsOfControl(await readSmallMember(member, CONTROL_FILE_SIZE), storage);
  }
  throw truncated(storage, `${set.base.key} has no ${CONTROL_FILE_PATH}`);
}

function factsOfControl(bytes: Uint8Array, storage: Storage): ClusterFacts {
  try {
    const controlFile = decodeControlFile(bytes);
    return {
      systemIdentifier: controlFile.systemIdentifier,
      postgresMajor: majorOfCatalogVersion(controlFile.catalogVersion),
      catalogVersion: controlFile.catalogVersion,
      walSegmentSizeBytes: controlFile.walSegmentSizeBytes,
      blockSizeBytes: controlFile.blockSizeBytes,
      dataChecksums: controlFile.dataChecksumVersion === 1,
      commitTimestamps: controlFile.trackCommitTimestamp,
      state: controlFile.state,
      checkPoint: controlFile.checkPoint,
    };
  } catch (error) {
    throw fileFault(error, { path: CONTROL_FILE_PATH, url: storage.url });
  }
}

interface EndingFacts {
  readonly head: BaseHead;
  readonly manifest: BackupManifest | undefined;
  readonly cluster: ClusterFacts;
  readonly storage: Storage;
}

/** Where the backup ends, and what it needs to get there. */
function ending(
  facts: EndingFacts,
): Pick<SnapshotInfo, 'lsn' | 'timeLineId' | 'consistency' | 'previousRecordLsn'> {
  const { head, manifest, cluster, storage } = facts;
  const { label } = head;
  const newest = manifest?.walRanges[0];
  const oldest = manifest?.walRanges.at(-1);
  const isListed = manifest?.files.some(({ path }) => path === BACKUP_LABEL_PATH) === true;
  if (label !== undefined || isListed) {
    const fromLsn = label?.decoded.startWalLocation ?? oldest?.startLsn;
    const timeLineId = newest?.timeLineId ?? label?.decoded.startTimeLineId;
    if (fromLsn === undefined || timeLineId === undefined) throw notFirst(storage);
    return {
      lsn: newest?.endLsn ?? fromLsn,
      timeLineId,
      consistency: {
        kind: 'needs-wal',
        fromLsn,
        ...(newest === undefined ? {} : { upToLsn: newest.endLsn }),
        ...(label === undefined ? {} : { backupLabel: label.bytes }),
      },
    };
  }
  if (newest === undefined) throw notFirst(storage);
  if (cluster.state !== undefined && cluster.state !== CLUSTER_STATE.shutDown) {
    throw invalid(
      storage,
      `the backup has no ${BACKUP_LABEL_PATH}, and its cluster was not shut down (its state is "${clusterStates[cluster.state] ?? cluster.state}"): a start without the label would ruin it silently`,
    );
  }
  return {
    lsn: newest.endLsn,
    previousRecordLsn: newest.startLsn,
    timeLineId: newest.timeLineId,
    consistency: { kind: 'consistent' },
  };
}

function bytesOf(manifest: BackupManifest, walSegmentSizeBytes: number): number {
  const files = manifest.files.reduce((sum, { size }) => sum + size, 0);
  const size = BigInt(walSegmentSizeBytes);
  const segments = manifest.walRanges.reduce(
    (sum, { startLsn, endLsn }) => sum + Number((endLsn + size - 1n) / size - startLsn / size),
    0,
  );
  return files + segments * walSegmentSizeBytes;
}

function notFirst(storage: Storage): FormatError {
  return invalid(
    storage,
    `base.tar does not begin with ${BACKUP_LABEL_PATH} and there is no backup_manifest that tells of its WAL; it is no backup of pg_basebackup, or a part is missing`,
  );
}

function invalid(storage: Storage, what: string): FormatError {
  return new FormatError({
    code: 'FORMAT_INVALID',
    operation: 'open backup',
    message: `${storage.url}: ${what}`,
  });
}

function truncated(storage: Storage, what: string): FormatError {
  return new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'open backup',
    message: `${storage.url}: ${what}`,
  });
}
