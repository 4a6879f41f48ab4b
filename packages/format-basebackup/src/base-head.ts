import { fileFault, type Tablespace } from '@neon-snapshot/format-core';
import {
  BACKUP_LABEL_SIZE_MAX,
  type BackupLabel,
  decodeBackupLabel,
  decodeTablespaceMap,
  TABLESPACE_MAP_SIZE_MAX,
} from '@neon-snapshot/postgres';
import { BACKUP_LABEL_PATH, TABLESPACE_DIRECTORY, TABLESPACE_MAP_PATH } from './layout.ts';
import { readMembers, readSmallMember, type TarPlace } from './tar-members.ts';

/** What stands before the first file of the cluster in a base.tar. */
export interface BaseHead {
  /** Absent where it comes later, or never. */
  readonly label?: { readonly bytes: Uint8Array; readonly decoded: BackupLabel };
  /** From the map, or from links. */
  readonly tablespaces: readonly Tablespace[];
}

const LINK = /^pg_tblspc\/([1-9]\d{0,9})$/;

/** Reads the first members of a base.tar, up to the first file that is neither `backup_label` nor `tablespace_map`. */
export async function readBaseHead(place: TarPlace): Promise<BaseHead> {
  const tablespaces = new Map<number, string>();
  let label: BaseHead['label'];
  for await (const member of readMembers(place)) {
    const oid = member.kind === 'link' ? LINK.exec(member.path)?.[1] : undefined;
    if (oid !== undefined) tablespaces.set(Number(oid), member.linkTarget ?? '');
    if (member.kind !== 'file') continue;
    if (member.path === BACKUP_LABEL_PATH) {
      const bytes = await readSmallMember(member, BACKUP_LABEL_SIZE_MAX);
      label = { bytes, decoded: decoded(bytes, place) };
    } else if (member.path === TABLESPACE_MAP_PATH) {
      const bytes = await readSmallMember(member, TABLESPACE_MAP_SIZE_MAX);
      for (const { oid, path } of decodeMap(bytes, place)) tablespaces.set(oid, path);
    } else break;
  }
  const all = [...tablespaces].map(([oid, location]) => ({ oid, location }));
  return { ...(label === undefined ? {} : { label }), tablespaces: all.sort((a, b) => a.oid - b.oid) };
}

function decoded(bytes: Uint8Array, { storage }: TarPlace): BackupLabel {
  try {
    return decodeBackupLabel(bytes);
  } catch (error) {
    throw fileFault(error, { path: BACKUP_LABEL_PATH, url: storage.url });
  }
}

function decodeMap(bytes: Uint8Array, { storage }: TarPlace): ReturnType<typeof decodeTablespaceMap> {
  try {
    return decodeTablespaceMap(bytes);
  } catch (error) {
    throw fileFault(error, { path: TABLESPACE_MAP_PATH, url: storage.url });
  }
}

/** Every tablespace with a tar of its own; one that nothing names a place for lies in place. */
export function allTablespaces(head: BaseHead, oids: readonly number[]): readonly Tablespace[] {
  const known = new Set(head.tablespaces.map(({ oid }) => oid));
  const inPlace = oids
    .filter((oid) => !known.has(oid))
    .map((oid) => ({ oid, location: `${TABLESPACE_DIRECTORY}/${oid}` }));
  return [...head.tablespaces, ...inPlace].sort((a, b) => a.oid - b.oid);
}
