import {
  decodeWalPageHeader,
  majorOfWalPageMagic,
  WAL_LONG_HEADER_SIZE,
  WAL_PAGE_FLAG,
} from '@neon-snapshot/postgres';
import { readMembers, type TarPlace } from './tar-members.ts';

/** What the first page of a WAL segment says of its cluster. */
export interface WalFacts {
  readonly systemIdentifier: bigint;
  readonly postgresMajor: number;
  readonly walSegmentSizeBytes: number;
}

/** Reads the first segment of a `pg_wal.tar`; undefined where there is none or its first page is no page of WAL that is known. */
export async function readWalFacts(place: TarPlace): Promise<WalFacts | undefined> {
  for await (const member of readMembers(place)) {
    if (member.kind !== 'file' || !/^[0-9A-F]{24}$/.test(member.path)) continue;
    const head = new Uint8Array(WAL_LONG_HEADER_SIZE);
    let filled = 0;
    for await (const chunk of member.body) {
      const part = chunk.subarray(0, head.length - filled);
      head.set(part, filled);
      filled += part.length;
      if (filled === head.length) break;
    }
    return filled === head.length ? factsOf(head, member.sizeBytes) : undefined;
  }
  return undefined;
}

function factsOf(head: Uint8Array, sizeBytes: number): WalFacts | undefined {
  if ((head[2] ?? 0) & WAL_PAGE_FLAG.longHeader) {
    const { magic, segment } = decodeWalPageHeader(head);
    const postgresMajor = majorOfWalPageMagic(magic);
    if (postgresMajor === undefined || segment?.segmentSize !== sizeBytes) return undefined;
    const { systemIdentifier } = segment;
    return { systemIdentifier, postgresMajor, walSegmentSizeBytes: sizeBytes };
  }
  return undefined;
}
