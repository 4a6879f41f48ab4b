import type { NeonWalRecord } from '@neon-snapshot/neon-layer';
import { RESOURCE_MANAGER_INFO_MASK, SLRU_PAGES_PER_SEGMENT } from '@neon-snapshot/postgres';
import { precedes } from '../checkpoint-tracker.ts';
import type { MainDataReader } from '../main-data-reader.ts';
import { type Pending, type RecordContext, readMainData } from '../record-context.ts';
import { readSlruSegments, slruPageKey, writeSlruSegments, zeroSlruPage } from '../slru-segments.ts';
import { readPageNumber } from './clog.ts';

/** multixact.h. */
const ZERO_OFFSETS_PAGE = 0x00;
const ZERO_MEMBERS_PAGE = 0x10;
const CREATE = 0x20;
const TRUNCATE = 0x30;
/** multixact.c: `MULTIXACT_OFFSETS_PER_PAGE` and `MULTIXACT_MEMBERS_PER_PAGE`. */
const OFFSETS_PER_PAGE = 2048;
const MEMBERS_PER_PAGE = 1636;
const MEMBER_SIZE = 8;
const ID_COUNT = 2 ** 32;
/** Segment of the last member there can be. */
const MEMBERS_SEGMENT_MAX = membersSegment(ID_COUNT - 1);

type Member = Extract<NeonWalRecord, { kind: 'multixact-members-create' }>['members'][number];

/** MULTIXACT: new pages, new multixacts with their members, and old ones that go. */
export function ingestMultiXact(context: RecordContext): Pending {
  const main = readMainData(context);
  const { modification } = context;
  switch (context.decoded.info & RESOURCE_MANAGER_INFO_MASK) {
    case ZERO_OFFSETS_PAGE:
      return zeroSlruPage(
        modification,
        'multixact_offsets',
        readPageNumber(context, main, ID_COUNT / OFFSETS_PER_PAGE),
      );
    case ZERO_MEMBERS_PAGE:
      return zeroSlruPage(
        modification,
        'multixact_members',
        readPageNumber(context, main, ID_COUNT / MEMBERS_PER_PAGE),
      );
    case CREATE:
      create(context, main);
      return undefined;
    case TRUNCATE:
      return truncate(context, main);
    default:
      return undefined;
  }
}

/** xl_multixact_create: id, offset of its first member, count, then xid and status of each. */
function create({ modification, checkpoint }: RecordContext, main: MainDataReader): void {
  const mid = main.u32();
  const moff = main.u32();
  const members = Array.from({ length: main.count(MEMBER_SIZE) }, () => ({
    xid: main.u32(),
    status: main.u32(),
  }));
  modification.putRecord(slruPageKey('multixact_offsets', Math.floor(mid / OFFSETS_PER_PAGE)), {
    kind: 'multixact-offset-create',
    mid,
    moff,
  });
  let offset = moff;
  for (let done = 0; done < members.length; ) {
    // Also the last page of all, where offsets wrap to 0, ends earlier than a full one.
    const room = Math.min(MEMBERS_PER_PAGE - (offset % MEMBERS_PER_PAGE), ID_COUNT - offset);
    const onPage = members.slice(done, done + room);
    modification.putRecord(slruPageKey('multixact_members', Math.floor(offset / MEMBERS_PER_PAGE)), {
      kind: 'multixact-members-create',
      moff: offset,
      members: onPage,
    });
    done += onPage.length;
    offset = (offset + onPage.length) % ID_COUNT;
  }
  checkpoint.seeMultiXact(mid, offset);
  const newest = newestXid(members);
  if (newest !== undefined) checkpoint.seeXid(newest);
}

/** xl_multixact_truncate: database, range of offsets, range of members. Segments of offsets stay. */
async function truncate({ modification, checkpoint }: RecordContext, main: MainDataReader): Promise<void> {
  const oldestMultiDb = main.u32();
  main.skip(4);
  const oldestMulti = main.u32();
  const start = membersSegment(main.u32());
  const end = membersSegment(main.u32());
  checkpoint.update({ oldestMulti, oldestMultiDb });
  if (start === end) return;
  // From `start` up to but without `end`, which may lie behind the wrap after the last segment.
  const isGone = (segno: number): boolean =>
    start < end
      ? segno >= start && segno < end
      : segno < end || (segno >= start && segno <= MEMBERS_SEGMENT_MAX);
  const segments = await readSlruSegments(modification, 'multixact_members');
  // Stored also where no segment goes, as Neon does.
  writeSlruSegments(
    modification,
    'multixact_members',
    segments.filter((segno) => !isGone(segno)),
  );
}

function membersSegment(offset: number): number {
  return Math.floor(offset / MEMBERS_PER_PAGE / SLRU_PAGES_PER_SEGMENT);
}

function newestXid(members: readonly Member[]): number | undefined {
  let newest: number | undefined;
  for (const { xid } of members) if (newest === undefined || precedes(newest, xid)) newest = xid;
  return newest;
}
