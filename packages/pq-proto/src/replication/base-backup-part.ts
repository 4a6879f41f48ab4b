export interface WalPosition {
  readonly lsn: bigint;
  readonly timeLineId: number;
}

export interface BaseBackupTablespace {
  /** Undefined for the data directory. */
  readonly oid: number | undefined;
  readonly location: string | undefined;
  /** Estimate, with the option `progress`. */
  readonly sizeKiB: bigint | undefined;
}

export interface BaseBackupArchive {
  readonly kind: 'archive';
  /** `base.tar`, `16385.tar`, with the suffix of the server's compression. */
  readonly name: string;
  /** Undefined for the data directory. */
  readonly tablespaceOid: number | undefined;
  readonly location: string | undefined;
  /** Bytes of the tar, compressed if the server was asked to. Once; a chunk is good until the next one is asked for. */
  readonly data: AsyncIterable<Uint8Array>;
}

export interface BaseBackupManifest {
  readonly kind: 'manifest';
  readonly data: AsyncIterable<Uint8Array>;
}

export type BaseBackupPart = BaseBackupArchive | BaseBackupManifest;

/** Parts one after the other; undefined when all have been read. */
export interface BackupPartSource {
  nextPart(): Promise<BaseBackupPart | undefined>;
}

/** An OID at the front of an archive's name. */
export function tablespaceOidOf(name: string): number | undefined {
  const digits = /^(\d{1,10})\.tar/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
