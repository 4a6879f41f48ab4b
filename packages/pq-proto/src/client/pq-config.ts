import { homedir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { PqError } from '../pq-error.ts';
import { parseConnectionString, severalHosts } from './conninfo.ts';

/**
 * `disable`: never. `prefer`: where the server has it. `require`: or nothing, any certificate. `verify-ca`: signed by a
 * trusted root. `verify-full`: and for this host. Unix sockets never use it.
 */
export type PqTlsMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

export type PqReplicationMode = 'physical' | 'database';

export interface PqConfigOptions {
  /** `postgresql://…` or `host=… user=…`. The single options below go before what it says. */
  readonly connectionString?: string | undefined;
  /** A name, an address, or the absolute path of the directory of a Unix socket. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly database?: string | undefined;
  readonly password?: string | undefined;
  readonly passfile?: string | undefined;
  readonly tls?: PqTlsMode | undefined;
  /** PEM file of trusted roots, or `system` for those that Node trusts. */
  readonly tlsRootCertificate?: string | undefined;
  readonly applicationName?: string | undefined;
  /** `physical` takes replication commands only; `database` SQL too. */
  readonly replication?: PqReplicationMode | undefined;
  /** Whole of connecting and authenticating. Default 30,000; 0 waits for ever. */
  readonly connectTimeoutMs?: number | undefined;
  /** Where the PG* variables are. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Where and how to connect: options over connection string over PG* variables over libpq's defaults. */
export interface PqConfig {
  /** Undefined: the usual socket directories, then `localhost`. */
  readonly host: string | undefined;
  /** Address to use in place of looking `host` up. */
  readonly hostAddress: string | undefined;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password: string | undefined;
  readonly passfile: string;
  readonly tls: PqTlsMode;
  readonly tlsRootCertificate: string | undefined;
  readonly tlsCertificate: string | undefined;
  readonly tlsKey: string | undefined;
  readonly channelBinding: 'disable' | 'prefer' | 'require';
  readonly applicationName: string;
  readonly replication: PqReplicationMode | undefined;
  readonly connectTimeoutMs: number;
  /** Startup parameter `options`. */
  readonly serverOptions: string | undefined;
}

const DEFAULT_PORT = 5432;
const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;

/** libpq's setting and its environment variable. What has no variable has none in libpq either. */
const VARIABLES: Readonly<Record<string, string | undefined>> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  user: 'PGUSER',
  dbname: 'PGDATABASE',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  channel_binding: 'PGCHANNELBINDING',
  application_name: 'PGAPPNAME',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  options: 'PGOPTIONS',
  replication: undefined,
  service: 'PGSERVICE',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  gssencmode: 'PGGSSENCMODE',
  fallback_application_name: undefined,
  // Taken and without effect: the encoding is UTF8, keep-alive is on, no Kerberos or GSS is spoken.
  client_encoding: undefined,
  keepalives: undefined,
  keepalives_idle: undefined,
  keepalives_interval: undefined,
  keepalives_count: undefined,
  tcp_user_timeout: undefined,
  krbsrvname: undefined,
  gsslib: undefined,
  sslcompression: undefined,
  sslsni: undefined,
  load_balance_hosts: undefined,
};

/** Values that mean what this client does anyway. Any other is refused. */
const ONLY_VALUES: Readonly<Record<string, readonly string[]>> = {
  service: [''],
  target_session_attrs: ['', 'any'],
  gssencmode: ['', 'disable', 'prefer'],
};

/** Throws `PQ_INVALID_ARGUMENT` or `PQ_UNSUPPORTED`, before any I/O. */
export function resolvePqConfig(options: PqConfigOptions): PqConfig {
  const env = options.env ?? process.env;
  const given =
    options.connectionString === undefined ? new Map() : parseConnectionString(options.connectionString);
  for (const name of given.keys())
    if (!(name in VARIABLES)) throw unsupported(`the connection setting ${name} is not supported`);
  const setting = (name: string): string | undefined => {
    const variable = VARIABLES[name];
    const value = given.get(name) ?? (variable === undefined ? undefined : env[variable]);
    return value === '' ? undefined : value;
  };
  for (const [name, values] of Object.entries(ONLY_VALUES)) {
    const value = setting(name) ?? '';
    if (!values.includes(value)) throw unsupported(`${name}=${value} is not supported`);
  }
  const user = options.user ?? setting('user') ?? userInfo().username;
  return checkTexts({
    host: oneHost(options.host ?? setting('host')),
    hostAddress: options.host === undefined ? oneHost(setting('hostaddr')) : undefined,
    port: options.port ?? integer('port', setting('port'), 65_535) ?? DEFAULT_PORT,
    user,
    database: options.database ?? setting('dbname') ?? user,
    password: options.password ?? setting('password'),
    passfile: options.passfile ?? setting('passfile') ?? join(env.HOME ?? homedir(), '.pgpass'),
    ...tlsSettings(options, setting),
    applicationName:
      options.applicationName ??
      setting('application_name') ??
      setting('fallback_application_name') ??
      'neon-snapshot',
    replication: options.replication ?? replicationMode(setting('replication')),
    connectTimeoutMs:
      options.connectTimeoutMs ?? connectTimeoutMs(setting('connect_timeout')) ?? DEFAULT_CONNECT_TIMEOUT_MS,
    serverOptions: setting('options'),
  });
}

type Setting = (name: string) => string | undefined;

function tlsSettings(options: PqConfigOptions, setting: Setting) {
  const channelBinding = setting('channel_binding') ?? 'prefer';
  if (channelBinding !== 'disable' && channelBinding !== 'prefer' && channelBinding !== 'require')
    throw invalid(`channel_binding is "${channelBinding}"; expected disable, prefer or require`);
  const tlsRootCertificate = options.tlsRootCertificate ?? setting('sslrootcert');
  return {
    tls: tlsMode(options.tls ?? setting('sslmode'), tlsRootCertificate),
    tlsRootCertificate,
    tlsCertificate: setting('sslcert'),
    tlsKey: setting('sslkey'),
    channelBinding,
  } as const;
}

function tlsMode(mode: string | undefined, rootCertificate: string | undefined): PqTlsMode {
  switch (mode) {
    case undefined:
      return rootCertificate === 'system' ? 'verify-full' : 'prefer';
    // libpq would try without TLS first, which is only less safe.
    case 'allow':
      return 'prefer';
    // As libpq: a root certificate that is given is used.
    case 'require':
      return rootCertificate === undefined ? 'require' : 'verify-ca';
    case 'disable':
    case 'prefer':
    case 'verify-ca':
    case 'verify-full':
      return mode;
    default:
      throw invalid(
        `sslmode is "${mode}"; expected disable, allow, prefer, require, verify-ca or verify-full`,
      );
  }
}

function replicationMode(value: string | undefined): PqReplicationMode | undefined {
  if (value === undefined || ['false', 'off', 'no', '0'].includes(value)) return undefined;
  if (value === 'database') return 'database';
  if (['true', 'on', 'yes', '1'].includes(value)) return 'physical';
  throw invalid(`replication is "${value}"; expected true, database or false`);
}

function connectTimeoutMs(value: string | undefined): number | undefined {
  const seconds = integer('connect_timeout', value, 2_000_000);
  return seconds === undefined ? undefined : seconds * 1000;
}

function integer(name: string, value: string | undefined, maximum: number): number | undefined {
  if (value === undefined) return undefined;
  if (value.includes(',')) throw severalHosts();
  const number = Number(value.trim());
  if (!/^\d+$/.test(value.trim()) || number > maximum)
    throw invalid(`${name} is "${value}"; expected an integer of at most ${maximum}`);
  return number;
}

function oneHost(host: string | undefined): string | undefined {
  if (host?.includes(',') && !isAbsolute(host)) throw severalHosts();
  return host === '' ? undefined : host;
}

/** A NUL would end a text early on the wire. */
function checkTexts(config: PqConfig): PqConfig {
  for (const [name, value] of Object.entries(config))
    if (typeof value === 'string' && value.includes('\0')) throw invalid(`${name} holds a NUL byte`);
  if (!Number.isInteger(config.port) || config.port < 1 || config.port > 65_535)
    throw invalid(`the port is ${config.port}; expected 1 to 65535`);
  return config;
}

function invalid(message: string): PqError {
  return new PqError({ code: 'PQ_INVALID_ARGUMENT', operation: 'connect', message });
}

function unsupported(message: string): PqError {
  return new PqError({ code: 'PQ_UNSUPPORTED', operation: 'connect', message });
}
