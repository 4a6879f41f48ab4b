/** Names of what `pg_basebackup -Ft` writes: `base.tar`, `OID.tar`, `pg_wal.tar`, with the extension of their compression. */
import type { CompressionKind } from '@neon-snapshot/archive';

export const MANIFEST_NAME = 'backup_manifest';
export const CONTROL_FILE_PATH = 'global/pg_control';
export const BACKUP_LABEL_PATH = 'backup_label';
export const TABLESPACE_MAP_PATH = 'tablespace_map';
export const WAL_DIRECTORY = 'pg_wal';
export const TABLESPACE_DIRECTORY = 'pg_tblspc';

export const DIRECTORY_MODE = 0o700;
export const FILE_MODE = 0o600;
/** Owner and group in the headers of every tar that a server makes. */
export const OWNER = 'postgres';

const EXTENSIONS = { gzip: '.gz', lz4: '.lz4', zstd: '.zst' } as const;
const COMPRESSION_OF: Readonly<Record<string, CompressionKind | undefined>> = {
  '.tar.gz': 'gzip',
  '.tgz': 'gzip',
  '.tar.lz4': 'lz4',
  '.tar.zst': 'zstd',
};
const TAR_NAME = /^(base|pg_wal|[1-9]\d{0,9})(\.tar|\.tar\.gz|\.tgz|\.tar\.lz4|\.tar\.zst)$/;

/** What a tar holds: the data directory, WAL, or the tablespace of an OID. */
export type TarRole = { readonly kind: 'base' } | { readonly kind: 'wal' } | TablespaceRole;

export interface TablespaceRole {
  readonly kind: 'tablespace';
  readonly oid: number;
}

export interface TarName {
  readonly role: TarRole;
  /** Undefined: not compressed. */
  readonly compression: CompressionKind | undefined;
}

/** The name of an object of a backup, or undefined for a name that is none. */
export function parseTarName(name: string): TarName | undefined {
  const [, stem, extension = ''] = TAR_NAME.exec(name) ?? [];
  if (stem === undefined) return undefined;
  const compression = COMPRESSION_OF[extension];
  if (stem === 'base') return { role: { kind: 'base' }, compression };
  if (stem === 'pg_wal') return { role: { kind: 'wal' }, compression };
  const oid = Number(stem);
  return oid > 0xffff_ffff ? undefined : { role: { kind: 'tablespace', oid }, compression };
}

export function formatTarName({ role, compression }: TarName): string {
  const stem = role.kind === 'base' ? 'base' : role.kind === 'wal' ? 'pg_wal' : `${role.oid}`;
  return `${stem}.tar${compression === undefined ? '' : EXTENSIONS[compression]}`;
}

/** PGDATA-relative place of a member of a tar. */
export function pathOfMember(role: TarRole, name: string): string {
  if (role.kind === 'base') return name;
  return role.kind === 'wal' ? `${WAL_DIRECTORY}/${name}` : `${TABLESPACE_DIRECTORY}/${role.oid}/${name}`;
}
