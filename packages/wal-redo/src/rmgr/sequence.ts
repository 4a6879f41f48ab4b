/** Resource manager 15, Sequence (sequence.c): each record holds the whole tuple of the sequence's one page. */
import { setU32 } from '../bytes.ts';
import { placeItem } from '../page/add-item.ts';
import { initPage, specialSpace } from '../page/header.ts';
import { type RedoContext, type ResourceManager, unsupportedRecord } from '../redo-context.ts';

const XLOG_SEQ_LOG = 0x00;
const SEQ_MAGIC = 0x1717;
const SPECIAL_SIZE = 8;

/** `xl_seq_rec`: the relation's three u32 come before the tuple. */
const TUPLE_AT = 12;

export const sequence: ResourceManager = {
  operations: { log: XLOG_SEQ_LOG },
  operationMask: 0xf0,
  redo(context: RedoContext): void {
    if ((context.info & 0xf0) !== XLOG_SEQ_LOG) throw unsupportedRecord(context);
    const { page, main } = context;
    initPage(page, SPECIAL_SIZE);
    setU32(page, specialSpace(page, SPECIAL_SIZE), SEQ_MAGIC);
    placeItem(page, 1, main.range(TUPLE_AT, main.length - TUPLE_AT));
  },
};
