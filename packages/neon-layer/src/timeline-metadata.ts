import { crc32c, formatLsn, type Lsn, lsn, parseLsn, ZERO_LSN } from '@neon-snapshot/postgres';
import { BeReader, BeWriter, bytesToHex } from './bytes.ts';
import { idToBytes, parseId } from './identifiers.ts';
import type { JsonDocument, JsonObject } from './json-document.ts';

/** Where a timeline stands; part of its index. */
export interface TimelineMetadata {
  /** Everything up to and including this LSN is in layers. */
  readonly diskConsistentLsn: Lsn;
  /** Start of the last record before `diskConsistentLsn`; absent where unknown. */
  readonly prevRecordLsn?: Lsn | undefined;
  readonly ancestorTimelineId?: string | undefined;
  /** Branch point; 0 for a root timeline. */
  readonly ancestorLsn: Lsn;
  /** Reads below this are refused. */
  readonly latestGcCutoffLsn: Lsn;
  /** First LSN with data. */
  readonly initdbLsn: Lsn;
  /** 14 to 17. */
  readonly postgresMajor: number;
}

/** Bytes of the metadata in indexes of version 1 to 6. */
const LEGACY_SIZE = 512;
const LEGACY_HEADER_SIZE = 8;
/** The version before the major was in it: all of those are 14. */
const LEGACY_VERSION_WITHOUT_MAJOR = 3;
const LEGACY_VERSION = 4;

const FIELDS = [
  'disk_consistent_lsn',
  'prev_record_lsn',
  'ancestor_timeline',
  'ancestor_lsn',
  'latest_gc_cutoff_lsn',
  'initdb_lsn',
  'pg_version',
] as const;

/** The metadata as an index of version 7 and newer has it: an object; or, from older ones, an array of 512 byte values. */
export function parseMetadata(document: JsonDocument, value: unknown): TimelineMetadata {
  if (Array.isArray(value))
    return document.nested('metadata', () => decodeLegacyMetadata(bytesOf(document, value)));
  const object = document.object(value, 'metadata');
  const missing = FIELDS.find((field) => !(field in object));
  if (missing !== undefined) document.fail(`metadata has no ${missing}`);
  const lsnOf = (field: string) => parseLsnField(document, object[field], `metadata's ${field}`);
  const ancestor = document.optionalString(object.ancestor_timeline, "metadata's ancestor_timeline");
  return {
    diskConsistentLsn: lsnOf('disk_consistent_lsn'),
    prevRecordLsn: object.prev_record_lsn === null ? undefined : lsnOf('prev_record_lsn'),
    ancestorTimelineId:
      ancestor === undefined ? undefined : document.nested('metadata', () => parseId(ancestor)),
    ancestorLsn: lsnOf('ancestor_lsn'),
    latestGcCutoffLsn: lsnOf('latest_gc_cutoff_lsn'),
    initdbLsn: lsnOf('initdb_lsn'),
    postgresMajor: document.integer(object.pg_version, "metadata's pg_version", 0xffff_ffff),
  };
}

/** The metadata as an object for the index. A previous record of 0/0 stays 0/0, as imports write it. */
export function formatMetadata(metadata: TimelineMetadata): JsonObject {
  const { prevRecordLsn } = metadata;
  return {
    disk_consistent_lsn: formatLsn(metadata.diskConsistentLsn),
    prev_record_lsn: prevRecordLsn === undefined ? null : formatLsn(prevRecordLsn),
    ancestor_timeline: metadata.ancestorTimelineId ?? null,
    ancestor_lsn: formatLsn(metadata.ancestorLsn),
    latest_gc_cutoff_lsn: formatLsn(metadata.latestGcCutoffLsn),
    initdb_lsn: formatLsn(metadata.initdbLsn),
    pg_version: metadata.postgresMajor,
  };
}

/** Parses an LSN in the text form of an index. */
export function parseLsnField(document: JsonDocument, value: unknown, where: string): Lsn {
  const text = document.string(value, where);
  return document.nested(where, () => parseLsn(text));
}

/*
 * Legacy metadata, bincode BE, zeros up to 512 bytes:
 *   0 CRC-32C u32 of bytes 8 .. size | 4 size u16 | 6 version u16 (4; 3 has no major) | 8 disk_consistent_lsn u64
 *   Option prev_record_lsn u64 | Option ancestor_timeline [16] | ancestor_lsn, latest_gc_cutoff_lsn, initdb_lsn u64 | pg_version u32
 */

/** Decodes the 512 bytes; throws `NEON_LAYER_INVALID_VALUE`. */
export function decodeLegacyMetadata(bytes: Uint8Array): TimelineMetadata {
  const header = new BeReader(bytes, 'Legacy timeline metadata');
  if (bytes.length !== LEGACY_SIZE) header.fail(`expected ${LEGACY_SIZE} bytes`);
  const [checksum, size, version] = [header.u32(), header.u16(), header.u16()];
  if (version !== LEGACY_VERSION && version !== LEGACY_VERSION_WITHOUT_MAJOR) {
    header.fail(`version ${version}, supported are ${LEGACY_VERSION_WITHOUT_MAJOR} and ${LEGACY_VERSION}`);
  }
  if (size < LEGACY_HEADER_SIZE || size > LEGACY_SIZE) header.fail(`its size field is ${size}`);
  const body = bytes.subarray(LEGACY_HEADER_SIZE, size);
  const expected = crc32c(body);
  if (expected !== checksum) {
    header.fail(`its checksum is 0x${checksum.toString(16)}, expected 0x${expected.toString(16)}`);
  }
  return decodeLegacyBody(new BeReader(body, 'Legacy timeline metadata'), version);
}

function decodeLegacyBody(reader: BeReader, version: number): TimelineMetadata {
  const metadata = {
    diskConsistentLsn: lsn(reader.u64()),
    prevRecordLsn: reader.option(() => lsn(reader.u64())),
    ancestorTimelineId: reader.option(() => bytesToHex(reader.bytes(16))),
    ancestorLsn: lsn(reader.u64()),
    latestGcCutoffLsn: lsn(reader.u64()),
    initdbLsn: lsn(reader.u64()),
    postgresMajor: version === LEGACY_VERSION ? reader.u32() : 14,
  };
  reader.end();
  return metadata;
}

/** Encodes the 512 bytes of version 4. */
export function encodeLegacyMetadata(metadata: TimelineMetadata): Uint8Array {
  const { prevRecordLsn, ancestorTimelineId } = metadata;
  const body = new BeWriter().u64(metadata.diskConsistentLsn);
  body.u8(prevRecordLsn === undefined ? 0 : 1);
  if (prevRecordLsn !== undefined) body.u64(prevRecordLsn);
  body.u8(ancestorTimelineId === undefined ? 0 : 1);
  if (ancestorTimelineId !== undefined) body.bytes(idToBytes(ancestorTimelineId));
  body.u64(metadata.ancestorLsn).u64(metadata.latestGcCutoffLsn).u64(metadata.initdbLsn);
  const content = body.u32(metadata.postgresMajor).finish();
  const header = new BeWriter()
    .u32(crc32c(content))
    .u16(LEGACY_HEADER_SIZE + content.length)
    .u16(LEGACY_VERSION);
  const bytes = new Uint8Array(LEGACY_SIZE);
  bytes.set(header.finish());
  bytes.set(content, LEGACY_HEADER_SIZE);
  return bytes;
}

/** True when no previous record is known: null and 0/0 mean the same. */
export function hasPrevRecord(metadata: TimelineMetadata): boolean {
  return metadata.prevRecordLsn !== undefined && metadata.prevRecordLsn !== ZERO_LSN;
}

function bytesOf(document: JsonDocument, values: readonly unknown[]): Uint8Array {
  if (values.length !== LEGACY_SIZE)
    document.fail(`metadata has ${values.length} bytes, expected ${LEGACY_SIZE}`);
  return Uint8Array.from(values, (value, i) => document.integer(value, `byte ${i} of metadata`, 255));
}
