/** Where a timeline's WAL comes from: a running Postgres that is reached with a passfile. Holds no secret. */
export interface WalSource {
  /** A socket directory (begins with `/`) or a host name. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** libpq's password file. */
  readonly passfile?: string | undefined;
  /** Physical replication slot; made where it is missing. */
  readonly slot: string;
}

export interface WalSourceState {
  readonly source: WalSource;
  readonly state: 'connecting' | 'streaming' | 'waiting' | 'refused';
  /** What went wrong last. */
  readonly message?: string | undefined;
}
