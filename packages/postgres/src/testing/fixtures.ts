/** What scripts/capture-fixtures.ts captured from real servers. */
import { readFileSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import { CONTROL_FILE_SIZE } from '../control-file-layout.ts';
import { SUPPORTED_MAJORS } from '../postgres-major.ts';

interface PageFixture {
  readonly relation: string;
  readonly fork: string;
  readonly block: number;
  readonly header: Readonly<Record<string, string | number>>;
  readonly checksum: number;
  readonly bytes: Uint8Array;
}

interface WalRecordFacts {
  readonly start_lsn: string;
  readonly end_lsn: string;
  readonly prev_lsn: string;
  readonly xid: string;
  readonly resource_manager: string;
  readonly record_length: number;
  readonly main_data_length: number;
  readonly fpi_length: number;
}

export interface Fixture {
  readonly major: number;
  /** Running server, and what its `pg_control_*()` functions said at that time. */
  readonly controlFile: Uint8Array;
  readonly controlFacts: Readonly<Record<string, string | number | boolean>>;
  readonly stoppedControlFile: Uint8Array;
  readonly pages: readonly PageFixture[];
  readonly relationMap: Uint8Array;
  readonly relationMapEntries: readonly { readonly oid: number; readonly relNode: number }[];
  readonly label: string;
  readonly tablespaceMap: string;
  readonly manifest: Uint8Array;
  readonly wal: {
    readonly start: string;
    readonly end: string;
    readonly segments: readonly { readonly fileName: string; readonly bytes: Uint8Array }[];
    /** What pg_walinspect says of them; 15 and later. */
    readonly records: readonly WalRecordFacts[] | undefined;
  };
  readonly timelineHistory: Readonly<Record<string, string>>;
}

export const FIXTURES: readonly Fixture[] = SUPPORTED_MAJORS.map(loadFixture);

export function fixtureOf(major: number): Fixture {
  const fixture = FIXTURES.find((candidate) => candidate.major === major);
  if (fixture === undefined) throw new RangeError(`no fixture of major ${major}`);
  return fixture;
}

function loadFixture(major: number): Fixture {
  const file = new URL(`../../fixtures/pg${major}.json`, import.meta.url);
  const raw = JSON.parse(readFileSync(file, 'utf8'));
  const inflate = (text: string) => new Uint8Array(inflateRawSync(Buffer.from(text, 'base64')));
  return {
    major,
    controlFile: padControlFile(Buffer.from(raw.controlFile.bytes, 'hex')),
    controlFacts: raw.controlFile.facts,
    stoppedControlFile: padControlFile(Buffer.from(raw.stoppedControlFile, 'base64')),
    pages: raw.pages.map((page: { deflated: string }) => ({ ...page, bytes: inflate(page.deflated) })),
    relationMap: new Uint8Array(Buffer.from(raw.relationMap.bytes, 'base64')),
    relationMapEntries: raw.relationMap.entries,
    label: raw.backup.label,
    tablespaceMap: raw.backup.tablespaceMap,
    manifest: inflate(raw.backup.manifestDeflated),
    wal: {
      ...raw.wal,
      segments: raw.wal.segments.map((segment: { fileName: string; deflated: string }) => ({
        fileName: segment.fileName,
        bytes: inflate(segment.deflated),
      })),
    },
    timelineHistory: raw.timelineHistory,
  };
}

/** The fixture holds the first 300 bytes; the capture made sure that the rest is zeros. */
function padControlFile(head: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(CONTROL_FILE_SIZE);
  bytes.set(head);
  return bytes;
}
