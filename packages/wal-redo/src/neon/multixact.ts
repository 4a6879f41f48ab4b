/** Multixact pages (multixact.c): offsets are u32; members come in groups of four flag bytes and four xids. */
import { BLCKSZ } from '@neon-snapshot/postgres';
import { Bytes, setU8, setU32 } from '../bytes.ts';
import { invalidPage } from '../redo-fault.ts';

const OFFSETS_PER_PAGE = BLCKSZ / 4;
const MEMBERS_PER_GROUP = 4;
const GROUP_SIZE = 20;
const GROUPS_PER_PAGE = Math.floor(BLCKSZ / GROUP_SIZE);
const U32 = 2 ** 32;

/** MultixactOffsetCreate */
export function createMultixactOffset(
  page: Uint8Array,
  record: { readonly mid: number; readonly moff: number },
): Uint8Array {
  setU32(checkedPage(page), (record.mid % OFFSETS_PER_PAGE) * 4, record.moff);
  return page;
}

/** MultixactMembersCreate: the members of one page. Each group's flag bytes come before its xids. */
export function createMultixactMembers(
  page: Uint8Array,
  record: {
    readonly moff: number;
    readonly members: readonly { readonly xid: number; readonly status: number }[];
  },
): Uint8Array {
  const bytes = checkedPage(page);
  for (const [index, member] of record.members.entries()) {
    const offset = (record.moff + index) % U32;
    const group = (Math.floor(offset / MEMBERS_PER_GROUP) % GROUPS_PER_PAGE) * GROUP_SIZE;
    const inGroup = offset % MEMBERS_PER_GROUP;
    setU8(bytes, group + inGroup, member.status);
    setU32(bytes, group + MEMBERS_PER_GROUP + 4 * inGroup, member.xid);
  }
  return page;
}

function checkedPage(page: Uint8Array): Bytes {
  if (page.length !== BLCKSZ) throw invalidPage(`a multixact page has ${BLCKSZ} bytes`);
  return new Bytes(page);
}
