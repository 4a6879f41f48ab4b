import { FormatError } from '@neon-snapshot/format-core';
import {
  type AuxFile,
  auxFileKey,
  compareKeys,
  encodeAuxFiles,
  encodeReplOriginValue,
  keyToHex,
  replOriginKey,
  slruBlockKey,
} from '@neon-snapshot/neon-layer';
import {
  BLCKSZ,
  decodeReplicationOrigins,
  decodeTwoPhaseFile,
  REPLICATION_ORIGINS_PATH,
} from '@neon-snapshot/postgres';
import type { HeldRun, HeldValue, KeyPlan, KnownValue } from './key-plan.ts';
import type { NeonControl } from './neon-control.ts';

/** Contents of the small files that are needed at the end, by path. */
export type HeldContents = ReadonlyMap<string, Uint8Array>;

export interface HeldValuesSource {
  readonly plan: KeyPlan;
  readonly contents: HeldContents;
  readonly control: NeonControl;
}

/** All values of a held run, in key order. */
export function* valuesOfRun(run: HeldRun, source: HeldValuesSource): Generator<KnownValue, void, undefined> {
  for (const value of run.values) yield* valuesOf(value, source);
}

function* valuesOf(value: HeldValue, source: HeldValuesSource): Generator<KnownValue, void, undefined> {
  switch (value.kind) {
    case 'known':
      yield value;
      return;
    case 'file':
      yield { key: value.key, value: fileValue(value, contentOf(source.contents, value.path)) };
      return;
    case 'slru':
      yield* slruPages(value, contentOf(source.contents, value.path));
      return;
    case 'control-file':
      yield { key: value.key, value: source.control.controlFile };
      return;
    case 'checkpoint':
      yield { key: value.key, value: source.control.checkpoint };
      return;
    case 'sparse':
      yield* sparseValues(source);
      return;
  }
}

/** Neon stores the state of a prepared transaction without its CRC. */
function fileValue({ form, path }: Extract<HeldValue, { kind: 'file' }>, content: Uint8Array): Uint8Array {
  return form === 'raw' ? content : decodeTwoPhaseFile(path, content);
}

function* slruPages(
  { slru, segno }: Extract<HeldValue, { kind: 'slru' }>,
  content: Uint8Array,
): Generator<KnownValue, void, undefined> {
  for (let block = 0; block * BLCKSZ < content.length; block += 1) {
    const value = content.subarray(block * BLCKSZ, (block + 1) * BLCKSZ);
    yield { key: slruBlockKey(slru, segno, block), value };
  }
}

/** Aux files and replication origins: in Neon they have keys of their own, made from path or id. */
function sparseValues({ plan, contents }: HeldValuesSource): readonly KnownValue[] {
  const aux = new Map<string, AuxFile[]>();
  const origins: KnownValue[] = [];
  for (const [path, kind] of plan.keptFiles) {
    if (kind === 'statistics') {
      const key = keyToHex(auxFileKey(path));
      aux.set(key, [...(aux.get(key) ?? []), { path, content: contentOf(contents, path) }]);
    } else if (kind === 'replication-origins') {
      for (const { id, remoteLsn } of decodeReplicationOrigins(
        contentOf(contents, REPLICATION_ORIGINS_PATH),
      )) {
        origins.push({ key: replOriginKey(id), value: encodeReplOriginValue(remoteLsn) });
      }
    }
  }
  const auxValues = [...aux.values()].map((files) => ({
    key: auxFileKey(files[0]?.path ?? ''),
    value: encodeAuxFiles(files),
  }));
  return [...auxValues, ...origins].sort((a, b) => compareKeys(a.key, b.key));
}

function contentOf(contents: HeldContents, path: string): Uint8Array {
  const content = contents.get(path);
  if (content !== undefined) return content;
  throw new FormatError({
    code: 'FORMAT_TRUNCATED',
    operation: 'write layers',
    message: `The snapshot announced ${path} and never sent it`,
    context: { path },
  });
}
