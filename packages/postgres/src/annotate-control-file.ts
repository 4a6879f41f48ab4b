import { type Annotation, annotateStruct, formatHex, formatUnixTime } from './annotation.ts';
import { checkPointLayout } from './check-point.ts';
import { clusterStates } from './control-file.ts';
import {
  CONTROL_FILE_HEAD_LAYOUT,
  CONTROL_FILE_LAYOUT,
  CONTROL_FILE_OFFSETS,
  NONCE_LAYOUT,
  SIGNEDNESS_LAYOUT,
  SIGNEDNESS_SINCE_MAJOR,
} from './control-file-layout.ts';
import { crc32c } from './crc32c.ts';
import {
  catalogVersionOf,
  controlVersionOf,
  type PostgresMajor,
  SUPPORTED_MAJORS,
} from './postgres-major.ts';
import { decodeStruct, type FieldValue } from './struct-layout.ts';

const WAL_LEVELS = ['minimal', 'replica', 'logical'];

/** Explains pg_control, also a damaged one: a wrong CRC is said, not thrown. Of an unknown version only its head. */
export function annotateControlFile(bytes: Uint8Array): Annotation[] {
  const head = annotateStruct(CONTROL_FILE_HEAD_LAYOUT, bytes);
  if (head.length < CONTROL_FILE_HEAD_LAYOUT.length) return head;
  const major = findMajor(bytes);
  if (major === undefined) {
    return [
      ...head,
      { offset: 8, length: 8, name: 'version', value: 'not supported: the rest is not decoded' },
    ];
  }
  const { nonce } = CONTROL_FILE_OFFSETS[major];
  const fields = [
    ...head,
    ...annotateStruct(CONTROL_FILE_LAYOUT, bytes, { describe }),
    ...annotateStruct(checkPointLayout(major), bytes, {
      baseOffset: CONTROL_FILE_OFFSETS.checkPointCopy,
      prefix: 'checkPointCopy.',
      describe,
    }),
    ...(major >= SIGNEDNESS_SINCE_MAJOR ? annotateStruct(SIGNEDNESS_LAYOUT, bytes) : []),
    ...annotateStruct(NONCE_LAYOUT, bytes, { baseOffset: nonce }),
    ...annotateCrc(bytes, CONTROL_FILE_OFFSETS[major].crc),
  ];
  return fields.sort((a, b) => a.offset - b.offset);
}

function findMajor(bytes: Uint8Array): PostgresMajor | undefined {
  const { controlVersion, catalogVersion } = decodeStruct(CONTROL_FILE_HEAD_LAYOUT, bytes, {
    operation: 'annotate pg_control',
  });
  return SUPPORTED_MAJORS.find(
    (major) => controlVersionOf(major) === controlVersion && catalogVersionOf(major) === catalogVersion,
  );
}

function annotateCrc(bytes: Uint8Array, crcOffset: number): Annotation[] {
  if (bytes.length < crcOffset + 4) return [];
  const computed = crc32c(bytes.subarray(0, crcOffset));
  const describeCrc = (_name: string, value: FieldValue) =>
    value === computed
      ? `${formatHex(computed, 8)} (right)`
      : `${formatHex(Number(value), 8)} (wrong: computed ${formatHex(computed, 8)})`;
  return annotateStruct([{ name: 'crc', type: 'u32', offset: crcOffset }], bytes, { describe: describeCrc });
}

function describe(name: string, value: FieldValue): string | undefined {
  if (name === 'state') return `${String(value)} (${clusterStates[Number(value)] ?? 'unknown'})`;
  if (name === 'walLevel') return `${String(value)} (${WAL_LEVELS[Number(value)] ?? 'unknown'})`;
  if (name === 'time' && typeof value === 'bigint') return formatUnixTime(value);
  if (name === 'nextXid' && typeof value === 'bigint') return `${value >> 32n}:${value & 0xffff_ffffn}`;
  return undefined;
}
