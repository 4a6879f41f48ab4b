/** Numbers that say what a WAL record is about. Source: rmgrlist.h and pg_control.h; equal in majors 14 to 18. */

/** `RmgrId` of rmgrlist.h, those that this package names. */
export const RESOURCE_MANAGER = {
  xlog: 0,
  transaction: 1,
  storage: 2,
  clog: 3,
  database: 4,
  tablespace: 5,
  multiXact: 6,
  relationMap: 7,
  standby: 8,
  heap2: 9,
  heap: 10,
  btree: 11,
  hash: 12,
  gin: 13,
  gist: 14,
  sequence: 15,
  spGist: 16,
  brin: 17,
  commitTs: 18,
  replicationOrigin: 19,
  generic: 20,
  logicalMessage: 21,
} as const;

/** High four bits of `info` in records of {@link RESOURCE_MANAGER}`.xlog`. */
export const XLOG_INFO = {
  checkpointShutdown: 0x00,
  checkpointOnline: 0x10,
  noop: 0x20,
  nextOid: 0x30,
  switch: 0x40,
  backupEnd: 0x50,
  parameterChange: 0x60,
  restorePoint: 0x70,
  fullPageWritesChange: 0x80,
  endOfRecovery: 0x90,
  fullPageImageForHint: 0xa0,
  fullPageImage: 0xb0,
  overwriteContinuation: 0xd0,
  /** 17 and later. */
  checkpointRedo: 0xe0,
} as const;

/** The bits of `info` that belong to the resource manager. */
export const RESOURCE_MANAGER_INFO_MASK = 0xf0;

const NAMES = [
  'XLOG',
  'Transaction',
  'Storage',
  'CLOG',
  'Database',
  'Tablespace',
  'MultiXact',
  'RelMap',
  'Standby',
  'Heap2',
  'Heap',
  'Btree',
  'Hash',
  'Gin',
  'Gist',
  'Sequence',
  'SPGist',
  'BRIN',
  'CommitTs',
  'ReplicationOrigin',
  'Generic',
  'LogicalMessage',
] as const;
const CUSTOM_MIN = 128;

/** The name that `pg_waldump` prints; `custom###` for an extension's (15 and later), `undefined` for an unknown one. */
export function resourceManagerName(resourceManager: number): string | undefined {
  if (resourceManager >= CUSTOM_MIN) return `custom${String(resourceManager).padStart(3, '0')}`;
  return NAMES[resourceManager];
}
