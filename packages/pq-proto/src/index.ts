export { type ConnectPqOptions, connectPq } from './client/connect-pq.ts';
export { isConnectionString } from './client/conninfo.ts';
export type { CopyBoth } from './client/copy-both.ts';
export {
  type PqConfig,
  type PqConfigOptions,
  type PqReplicationMode,
  type PqTlsMode,
  resolvePqConfig,
} from './client/pq-config.ts';
export type { PqCommandOptions, PqConnection } from './client/pq-connection.ts';
export type { PqResult } from './client/simple-query.ts';
export {
  isPqError,
  PqError,
  type PqErrorCode,
  type PqErrorContext,
  type PqErrorOptions,
  type PqServerFields,
} from './pq-error.ts';
export type { BaseBackup } from './replication/base-backup.ts';
export type { BaseBackupOptions, ServerCompression } from './replication/base-backup-command.ts';
export type {
  BaseBackupArchive,
  BaseBackupManifest,
  BaseBackupPart,
  BaseBackupTablespace,
  WalPosition,
} from './replication/base-backup-part.ts';
export type {
  CreateSlotOptions,
  ReplicationSlot,
  SystemIdentification,
  TimelineHistoryFile,
} from './replication/replication-commands.ts';
export {
  decodeWalMessage,
  encodeStandbyStatus,
  encodeWalData,
  encodeWalKeepalive,
  type StandbyStatus,
  type WalData,
  type WalKeepalive,
} from './replication/wal-messages.ts';
export type {
  StartPhysicalReplicationOptions,
  WalMessage,
  WalStream,
  WalTimelineEnd,
} from './replication/wal-stream.ts';
export { int8Column, type PqColumn, textColumn } from './row-codec.ts';
export type { CancelKey } from './server/accept-startup.ts';
export type { CopyBothSession } from './server/copy-both-session.ts';
export { type ListenPqOptions, listenPq, type PqListener } from './server/listen-pq.ts';
export type {
  PqReply,
  PqRequest,
  PqServerAuthentication,
  PqStartup,
  PqValue,
} from './server/pq-reply.ts';
export {
  type PqServerConnection,
  type ServePqOptions,
  type ServeSocketOptions,
  servePq,
} from './server/serve-pq.ts';
