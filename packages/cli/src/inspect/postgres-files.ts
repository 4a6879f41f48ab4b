import {
  type Annotation,
  annotateControlFile,
  annotatePage,
  annotateWalSegment,
  BLCKSZ,
  CONTROL_FILE_SIZE,
  decodeControlFile,
  decodeRelationMap,
  formatAnnotations,
  formatLsn,
  isPostgresFormatError,
  MANIFEST_SIZE_MAX,
  parseBackupManifest,
  RELMAP_SIZE,
  RELSEG_BLOCKS,
  SUPPORTED_MAJORS,
} from '@neon-snapshot/postgres';
import { usageError } from '../cli-error.ts';
import { limitLines } from '../output/dump.ts';
import { formatBytes } from '../output/units.ts';
import type { Inspection, InspectTarget } from './inspection.ts';
import { readRange, readWhole } from './open-target.ts';

/** A WAL segment is read so far at most; `--limit` records fit in it many times over. */
const WAL_BYTES_MAX = 16 * 1024 * 1024;

export async function inspectControlFile(target: InspectTarget): Promise<Inspection> {
  const bytes = await readWhole(target, CONTROL_FILE_SIZE);
  const inspection = annotated(bytes, annotateControlFile(bytes));
  try {
    decodeControlFile(bytes);
    return inspection;
  } catch (error) {
    if (!isPostgresFormatError(error)) throw error;
    return { ...inspection, damage: `${error.message} [${error.code}]` };
  }
}

/** Page headers and the first `--limit` records with resource manager, LSN and length. */
export async function inspectWalSegment(target: InspectTarget): Promise<Inspection> {
  const length = Math.min(target.sizeBytes, WAL_BYTES_MAX);
  const bytes = await readRange(target, 0, length - (length % BLCKSZ));
  const fields: Annotation[] = [];
  const records = new Set<string>();
  for (const field of annotateWalSegment(bytes)) {
    const record = /^record (\S+) /.exec(field.name)?.[1];
    if (record !== undefined) records.add(record);
    if (records.size > target.limit) {
      records.delete(record ?? '');
      const inspection = annotated(bytes, fields);
      return {
        lines: [...inspection.lines, `… more records (--limit=${target.limit})`],
        data: { ...inspection.data, records: records.size, complete: false },
      };
    }
    fields.push(field);
  }
  const inspection = annotated(bytes, fields);
  return {
    ...inspection,
    data: { ...inspection.data, records: records.size, complete: bytes.length === target.sizeBytes },
  };
}

export async function inspectRelationPage(target: InspectTarget): Promise<Inspection> {
  const blocks = Math.floor(target.sizeBytes / BLCKSZ);
  if (target.block >= blocks)
    throw usageError(`--block=${target.block} is outside ${target.key}, which has ${blocks} blocks`);
  const segment = Number(/\.(\d+)$/.exec(target.key)?.[1] ?? 0);
  const baseOffset = target.block * BLCKSZ;
  const blockNumber = segment * RELSEG_BLOCKS + target.block;
  const page = await readRange(target, baseOffset, BLCKSZ);
  const fields = annotatePage(page, { blockNumber });
  const inspection = annotated(page, fields);
  return {
    lines: [`block ${blockNumber}, at byte ${baseOffset} of ${target.sizeBytes}`, ...inspection.lines],
    data: { ...inspection.data, blockNumber, blocks },
  };
}

export async function inspectRelationMap(target: InspectTarget): Promise<Inspection> {
  const bytes = await readWhole(target, Math.max(...Object.values(RELMAP_SIZE)));
  // The format is the same for majors of one size.
  const major = SUPPORTED_MAJORS.find((candidate) => RELMAP_SIZE[candidate] === bytes.length) ?? 17;
  const entries = decodeRelationMap(bytes, major);
  return {
    lines: [
      `${entries.length} mapped relations`,
      ...entries.map(({ oid, relNode }) => `${String(oid).padStart(10)} → ${relNode}`),
    ],
    data: { entries: entries.map(({ oid, relNode }) => ({ oid, relNode })) },
  };
}

export async function inspectBackupManifest(target: InspectTarget): Promise<Inspection> {
  const manifest = parseBackupManifest(await readWhole(target, MANIFEST_SIZE_MAX));
  const bytesTotal = manifest.files.reduce((sum, file) => sum + file.size, 0);
  const walRanges = manifest.walRanges.map(({ timeLineId, startLsn, endLsn }) => ({
    timeLineId,
    startLsn: formatLsn(startLsn),
    endLsn: formatLsn(endLsn),
  }));
  const files = manifest.files.map(({ path, size, checksum }) => ({
    path,
    sizeBytes: size,
    checksum: checksum === undefined ? null : `${checksum.algorithm} ${checksum.hex}`,
  }));
  return {
    lines: [
      `version ${manifest.version}${manifest.systemIdentifier === undefined ? '' : `, system identifier ${manifest.systemIdentifier}`}`,
      ...walRanges.map(
        (range) => `WAL on TimeLineID ${range.timeLineId} from ${range.startLsn} to ${range.endLsn}`,
      ),
      `${files.length} files, ${formatBytes(bytesTotal)}; the checksum of the manifest is right`,
      ...limitLines(
        files.map((file) => `${String(file.sizeBytes).padStart(12)}  ${file.path}  ${file.checksum ?? ''}`),
        target.limit,
      ),
    ],
    data: {
      manifestVersion: manifest.version,
      systemIdentifier: manifest.systemIdentifier?.toString() ?? null,
      walRanges,
      filesTotal: files.length,
      bytesTotal,
      files: files.slice(0, target.limit),
    },
  };
}

/** The common dump: one line a field with its bytes. */
function annotated(bytes: Uint8Array, fields: readonly Annotation[]): Inspection {
  return {
    lines: [...formatAnnotations(bytes, fields)],
    data: { fields: fields.map(({ offset, length, name, value }) => ({ offset, length, name, value })) },
  };
}
