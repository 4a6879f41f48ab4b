import {
  CONTROL_FILE_SIZE,
  controlVersionOf,
  decodePageHeader,
  majorOfWalPageMagic,
  PAGE_HEADER_SIZE,
  RELMAP_SIZE,
  SUPPORTED_MAJORS,
} from '@neon-snapshot/postgres';
import type { InspectTarget } from './inspection.ts';

/** What `neon inspect` can explain. */
export const INSPECT_KINDS = [
  'pg_control',
  'wal-segment',
  'relation-page',
  'relation-map',
  'backup-manifest',
  'layer',
  'index-part',
  'tenant-manifest',
] as const;

export type InspectKind = (typeof INSPECT_KINDS)[number];

const NAMES: readonly (readonly [InspectKind, RegExp])[] = [
  ['pg_control', /^pg_control$/],
  ['relation-map', /^pg_filenode\.map$/],
  ['backup-manifest', /^backup_manifest$/],
  ['index-part', /^index_part\.json(-[0-9a-f]{8})?$/],
  ['tenant-manifest', /^tenant-manifest-[0-9a-f]{8}\.json$/],
  ['layer', /^[0-9A-F]{36}-[0-9A-F]{36}__[0-9A-F]{16}/],
  ['wal-segment', /^[0-9A-F]{24}(\.partial)?$/],
  ['relation-page', /^[0-9]+(_fsm|_vm|_init)?(\.[0-9]+)?$/],
];

/** Layer files start with one of these, big endian (IMAGE_FILE_MAGIC, DELTA_FILE_MAGIC). */
const LAYER_MAGICS = [0x5a60, 0x5a61];
const RELATION_MAP_MAGIC = 0x592717;
const JSON_TEXTS: readonly (readonly [InspectKind, string])[] = [
  ['backup-manifest', '"PostgreSQL-Backup-Manifest-Version"'],
  ['index-part', '"layer_metadata"'],
  ['tenant-manifest', '"offloaded_timelines"'],
];
const BLOCK_BYTES = 8192;

/** What an object is: by its name, else by its first bytes. Undefined for anything else. */
export function recognise(
  target: Pick<InspectTarget, 'key' | 'head' | 'sizeBytes'>,
): InspectKind | undefined {
  return NAMES.find(([, pattern]) => pattern.test(target.key))?.[0] ?? recogniseBytes(target);
}

function recogniseBytes({
  head,
  sizeBytes,
}: Pick<InspectTarget, 'head' | 'sizeBytes'>): InspectKind | undefined {
  if (head[0] === 0x7b) {
    const text = new TextDecoder().decode(head);
    return JSON_TEXTS.find(([, needle]) => text.includes(needle))?.[0];
  }
  if (head.length < PAGE_HEADER_SIZE) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (LAYER_MAGICS.includes(view.getUint16(0))) return 'layer';
  if (majorOfWalPageMagic(view.getUint16(0, true)) !== undefined) return 'wal-segment';
  if (Object.values(RELMAP_SIZE).includes(sizeBytes) && view.getUint32(0, true) === RELATION_MAP_MAGIC)
    return 'relation-map';
  const controlVersion = view.getUint32(8, true);
  const isControlVersion = SUPPORTED_MAJORS.some((major) => controlVersionOf(major) === controlVersion);
  if (sizeBytes === CONTROL_FILE_SIZE && isControlVersion) return 'pg_control';
  return looksLikePage(head, sizeBytes) ? 'relation-page' : undefined;
}

function looksLikePage(head: Uint8Array, sizeBytes: number): boolean {
  if (sizeBytes === 0 || sizeBytes % BLOCK_BYTES !== 0 || head.length < BLOCK_BYTES) return false;
  const header = decodePageHeader(head.subarray(0, BLOCK_BYTES));
  return header.sizeBytes === BLOCK_BYTES && header.lower >= PAGE_HEADER_SIZE && header.lower <= header.upper;
}
