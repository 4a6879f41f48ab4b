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
  /** libpq's `sslmode`; default `prefer`. */
  readonly tls?: WalSourceTls | undefined;
  /** PEM file of trusted roots, or `system`. */
  readonly tlsRootCertificate?: string | undefined;
  /**
   * Of a primary that is not ours: the TimeLineID that is followed. The WAL of another one, as after a promotion, is refused; and
   * a slot that is gone is not made anew, since it would begin behind a gap.
   */
  readonly timeLineId?: number | undefined;
}

const TLS_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type WalSourceTls = (typeof TLS_MODES)[number];

export function isWalSourceTls(value: unknown): value is WalSourceTls {
  return TLS_MODES.some((mode) => mode === value);
}

export interface WalSourceState {
  readonly source: WalSource;
  readonly state: 'connecting' | 'streaming' | 'waiting' | 'refused';
  /** What went wrong last. */
  readonly message?: string | undefined;
}
