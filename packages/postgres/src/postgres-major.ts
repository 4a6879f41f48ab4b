import { PostgresFormatError } from './postgres-format-error.ts';

/** The Postgres major versions whose formats this package knows. */
export type PostgresMajor = 14 | 15 | 16 | 17 | 18;

interface MajorFacts {
  readonly major: PostgresMajor;
  /** `CATALOG_VERSION_NO` of catversion.h. */
  readonly catalogVersion: number;
  /** `PG_CONTROL_VERSION` of pg_control.h. */
  readonly controlVersion: number;
  /** `XLOG_PAGE_MAGIC` of xlog_internal.h. */
  readonly walPageMagic: number;
  /** Size and entries of `RelMapFile` in relmapper.c. */
  readonly relationMapSizeBytes: number;
  readonly relationMapCapacity: number;
}

const MAJORS: Readonly<Record<PostgresMajor, MajorFacts>> = {
  14: facts(14, 202107181, 1300, 0xd10d, 512, 62),
  15: facts(15, 202209061, 1300, 0xd110, 512, 62),
  16: facts(16, 202307071, 1300, 0xd113, 524, 64),
  17: facts(17, 202406281, 1700, 0xd116, 524, 64),
  18: facts(18, 202506291, 1800, 0xd118, 524, 64),
};

export const SUPPORTED_MAJORS: readonly PostgresMajor[] = [14, 15, 16, 17, 18];

/** First two bytes of every WAL page, by major. */
export const WAL_PAGE_MAGIC: Readonly<Record<PostgresMajor, number>> = byMajor((f) => f.walPageMagic);

/** Size of `pg_filenode.map` in bytes, by major. */
export const RELMAP_SIZE: Readonly<Record<PostgresMajor, number>> = byMajor((f) => f.relationMapSizeBytes);

/** Most entries that `pg_filenode.map` holds, by major. */
export const RELMAP_CAPACITY: Readonly<Record<PostgresMajor, number>> = byMajor((f) => f.relationMapCapacity);

/** Narrows a number to a supported major; throws `POSTGRES_UNSUPPORTED_VERSION` naming the supported ones. */
export function assertPostgresMajor(major: number): PostgresMajor {
  const known = SUPPORTED_MAJORS.find((candidate) => candidate === major);
  if (known === undefined) throw unsupported(`Postgres major ${major}`);
  return known;
}

/** `CATALOG_VERSION_NO` of a major's releases. */
export function catalogVersionOf(major: number): number {
  return MAJORS[assertPostgresMajor(major)].catalogVersion;
}

/** `PG_CONTROL_VERSION` of a major's releases: 1300 for 14 to 16. */
export function controlVersionOf(major: number): number {
  return MAJORS[assertPostgresMajor(major)].controlVersion;
}

/** The major that a catalog version belongs to; throws `POSTGRES_UNSUPPORTED_VERSION` for an unknown one. */
export function majorOfCatalogVersion(catalogVersion: number): PostgresMajor {
  const major = SUPPORTED_MAJORS.find((m) => MAJORS[m].catalogVersion === catalogVersion);
  if (major === undefined) throw unsupported(`catalog version ${catalogVersion}`);
  return major;
}

/** The major whose WAL pages begin with `magic`, or `undefined`. */
export function majorOfWalPageMagic(magic: number): PostgresMajor | undefined {
  return SUPPORTED_MAJORS.find((m) => MAJORS[m].walPageMagic === magic);
}

/** Name of the directory that a major keeps inside a tablespace: `PG_17_202406281`. */
export function tablespaceVersionDirectory(major: number): string {
  return `PG_${major}_${catalogVersionOf(major)}`;
}

function facts(
  major: PostgresMajor,
  catalogVersion: number,
  controlVersion: number,
  walPageMagic: number,
  relationMapSizeBytes: number,
  relationMapCapacity: number,
): MajorFacts {
  return {
    major,
    catalogVersion,
    controlVersion,
    walPageMagic,
    relationMapSizeBytes,
    relationMapCapacity,
  };
}

function byMajor(pick: (facts: MajorFacts) => number): Readonly<Record<PostgresMajor, number>> {
  return {
    14: pick(MAJORS[14]),
    15: pick(MAJORS[15]),
    16: pick(MAJORS[16]),
    17: pick(MAJORS[17]),
    18: pick(MAJORS[18]),
  };
}

function unsupported(what: string): PostgresFormatError {
  const supported = SUPPORTED_MAJORS.map((m) => `${m} (${MAJORS[m].catalogVersion})`).join(', ');
  return new PostgresFormatError({
    code: 'POSTGRES_UNSUPPORTED_VERSION',
    operation: 'look up Postgres version',
    message: `${what} is not supported; supported majors (catalog version): ${supported}`,
  });
}
