/**
 * Names of WAL records as `pg_waldump` prints them. Source: the `*_identify` functions of rmgrdesc/*.c, majors 14 to 18;
 * Neon's resource manager 134: neon_rmgr_desc.c of its Postgres 16 and 17.
 */
import { assertPostgresMajor, type PostgresMajor } from './postgres-major.ts';
import { RESOURCE_MANAGER, RESOURCE_MANAGER_INFO_MASK } from './wal-resource-manager.ts';

interface RecordNames {
  /** The bits of `info` that tell records apart. */
  readonly mask: number;
  /** By those bits. */
  readonly names: Readonly<Record<number, string>>;
}

/** Bit of `info` in records of several managers: the page is made anew. */
const INIT_PAGE = 0x80;
/** `XLOG_XACT_OPMASK`: the bit above says that more fields follow. */
const TRANSACTION_MASK = 0x70;
/** `RM_NEON_ID`. */
const NEON_RESOURCE_MANAGER = 134;

const RECORD_NAMES: Readonly<Record<number, RecordNames>> = {
  [RESOURCE_MANAGER.xlog]: inOrder({
    first: 0x00,
    names: [
      'CHECKPOINT_SHUTDOWN',
      'CHECKPOINT_ONLINE',
      'NOOP',
      'NEXTOID',
      'SWITCH',
      'BACKUP_END',
      'PARAMETER_CHANGE',
      'RESTORE_POINT',
      'FPW_CHANGE',
      'END_OF_RECOVERY',
      'FPI_FOR_HINT',
      'FPI',
      undefined,
      'OVERWRITE_CONTRECORD',
      'CHECKPOINT_REDO',
    ],
  }),
  [RESOURCE_MANAGER.transaction]: {
    ...inOrder({
      first: 0x00,
      names: [
        'COMMIT',
        'PREPARE',
        'ABORT',
        'COMMIT_PREPARED',
        'ABORT_PREPARED',
        'ASSIGNMENT',
        'INVALIDATION',
      ],
    }),
    mask: TRANSACTION_MASK,
  },
  [RESOURCE_MANAGER.storage]: inOrder({ first: 0x10, names: ['CREATE', 'TRUNCATE'] }),
  [RESOURCE_MANAGER.clog]: inOrder({ first: 0x00, names: ['ZEROPAGE', 'TRUNCATE'] }),
  [RESOURCE_MANAGER.database]: inOrder({
    first: 0x00,
    names: ['CREATE_FILE_COPY', 'CREATE_WAL_LOG', 'DROP'],
  }),
  [RESOURCE_MANAGER.tablespace]: inOrder({ first: 0x00, names: ['CREATE', 'DROP'] }),
  [RESOURCE_MANAGER.multiXact]: inOrder({
    first: 0x00,
    names: ['ZERO_OFF_PAGE', 'ZERO_MEM_PAGE', 'CREATE_ID', 'TRUNCATE_ID'],
  }),
  [RESOURCE_MANAGER.relationMap]: inOrder({ first: 0x00, names: ['UPDATE'] }),
  [RESOURCE_MANAGER.standby]: inOrder({ first: 0x00, names: ['LOCK', 'RUNNING_XACTS', 'INVALIDATIONS'] }),
  [RESOURCE_MANAGER.heap2]: inOrder({
    first: 0x00,
    names: [
      'REWRITE',
      'PRUNE_ON_ACCESS',
      'PRUNE_VACUUM_SCAN',
      'PRUNE_VACUUM_CLEANUP',
      'VISIBLE',
      'MULTI_INSERT',
      'LOCK_UPDATED',
      'NEW_CID',
    ],
    withInit: ['MULTI_INSERT'],
  }),
  [RESOURCE_MANAGER.heap]: inOrder({
    first: 0x00,
    names: ['INSERT', 'DELETE', 'UPDATE', 'TRUNCATE', 'HOT_UPDATE', 'HEAP_CONFIRM', 'LOCK', 'INPLACE'],
    withInit: ['INSERT', 'UPDATE', 'HOT_UPDATE'],
  }),
  [RESOURCE_MANAGER.btree]: inOrder({
    first: 0x00,
    names: [
      'INSERT_LEAF',
      'INSERT_UPPER',
      'INSERT_META',
      'SPLIT_L',
      'SPLIT_R',
      'INSERT_POST',
      'DEDUP',
      'DELETE',
      'UNLINK_PAGE',
      'UNLINK_PAGE_META',
      'NEWROOT',
      'MARK_PAGE_HALFDEAD',
      'VACUUM',
      'REUSE_PAGE',
      'META_CLEANUP',
    ],
  }),
  [RESOURCE_MANAGER.hash]: inOrder({
    first: 0x00,
    names: [
      'INIT_META_PAGE',
      'INIT_BITMAP_PAGE',
      'INSERT',
      'ADD_OVFL_PAGE',
      'SPLIT_ALLOCATE_PAGE',
      'SPLIT_PAGE',
      'SPLIT_COMPLETE',
      'MOVE_PAGE_CONTENTS',
      'SQUEEZE_PAGE',
      'DELETE',
      'SPLIT_CLEANUP',
      'UPDATE_META_PAGE',
      'VACUUM_ONE_PAGE',
    ],
  }),
  [RESOURCE_MANAGER.gin]: inOrder({
    first: 0x10,
    names: [
      'CREATE_PTREE',
      'INSERT',
      'SPLIT',
      'VACUUM_PAGE',
      'DELETE_PAGE',
      'UPDATE_META_PAGE',
      'INSERT_LISTPAGE',
      'DELETE_LISTPAGE',
      'VACUUM_DATA_LEAF_PAGE',
    ],
  }),
  [RESOURCE_MANAGER.gist]: inOrder({
    first: 0x00,
    names: [
      'PAGE_UPDATE',
      'DELETE',
      'PAGE_REUSE',
      'PAGE_SPLIT',
      undefined,
      undefined,
      'PAGE_DELETE',
      'ASSIGN_LSN',
    ],
  }),
  [RESOURCE_MANAGER.sequence]: inOrder({ first: 0x00, names: ['LOG'] }),
  [RESOURCE_MANAGER.spGist]: inOrder({
    first: 0x10,
    names: [
      'ADD_LEAF',
      'MOVE_LEAFS',
      'ADD_NODE',
      'SPLIT_TUPLE',
      'PICKSPLIT',
      'VACUUM_LEAF',
      'VACUUM_ROOT',
      'VACUUM_REDIRECT',
    ],
  }),
  [RESOURCE_MANAGER.brin]: inOrder({
    first: 0x00,
    names: ['CREATE_INDEX', 'INSERT', 'UPDATE', 'SAMEPAGE_UPDATE', 'REVMAP_EXTEND', 'DESUMMARIZE'],
    withInit: ['INSERT', 'UPDATE'],
  }),
  [RESOURCE_MANAGER.commitTs]: inOrder({ first: 0x00, names: ['ZEROPAGE', 'TRUNCATE'] }),
  [RESOURCE_MANAGER.replicationOrigin]: inOrder({ first: 0x00, names: ['SET', 'DROP'] }),
  [RESOURCE_MANAGER.generic]: { mask: 0, names: { 0: 'Generic' } },
  [RESOURCE_MANAGER.logicalMessage]: inOrder({ first: 0x00, names: ['MESSAGE'] }),
  [NEON_RESOURCE_MANAGER]: inOrder({
    first: 0x00,
    names: ['INSERT', 'DELETE', 'UPDATE', 'HOT_UPDATE', 'LOCK', 'MULTI_INSERT'],
    withInit: ['INSERT', 'UPDATE', 'HOT_UPDATE', 'MULTI_INSERT'],
  }),
};

/** What older majors call otherwise. */
const OLDER_NAMES: readonly {
  readonly resourceManager: number;
  readonly majorMax: PostgresMajor;
  readonly names: RecordNames;
}[] = [
  {
    resourceManager: RESOURCE_MANAGER.heap2,
    majorMax: 16,
    names: inOrder({
      first: 0x00,
      names: [
        'REWRITE',
        'PRUNE',
        'VACUUM',
        'FREEZE_PAGE',
        'VISIBLE',
        'MULTI_INSERT',
        'LOCK_UPDATED',
        'NEW_CID',
      ],
      withInit: ['MULTI_INSERT'],
    }),
  },
  {
    resourceManager: RESOURCE_MANAGER.database,
    majorMax: 14,
    names: inOrder({ first: 0x00, names: ['CREATE', 'DROP'] }),
  },
];

export interface WalRecordKind {
  readonly resourceManager: number;
  /** The whole `info` of the record's header. */
  readonly info: number;
  readonly major: number;
}

/** The name of a record without its resource manager's: `INSERT+INIT`; `undefined` for an unknown one. */
export function walRecordName({ resourceManager, info, major }: WalRecordKind): string | undefined {
  const known = assertPostgresMajor(major);
  const older = OLDER_NAMES.find(
    (entry) => entry.resourceManager === resourceManager && known <= entry.majorMax,
  );
  const entry = older?.names ?? RECORD_NAMES[resourceManager];
  return entry?.names[info & entry.mask];
}

function inOrder(list: {
  /** `info` of the first name; each further one is 0x10 more. */
  readonly first: number;
  readonly names: readonly (string | undefined)[];
  /** Those that come with {@link INIT_PAGE} too. */
  readonly withInit?: readonly string[];
}): RecordNames {
  const names: Record<number, string> = {};
  for (const [index, name] of list.names.entries()) {
    if (name === undefined) continue;
    const info = list.first + index * 0x10;
    names[info] = name;
    if (list.withInit?.includes(name) === true) names[info | INIT_PAGE] = `${name}+INIT`;
  }
  return { mask: RESOURCE_MANAGER_INFO_MASK, names };
}
