import { PqError } from '../pq-error.ts';

const URI_PREFIX = /^postgres(?:ql)?:\/\//;

/** True for `postgresql://…`, `postgres://…` and `key=value …`; false for what is surely something else, such as a path. */
export function isConnectionString(text: string): boolean {
  return URI_PREFIX.test(text) || /^\s*[a-z_]+\s*=/.test(text);
}

/**
 * Settings of a libpq connection string, a URI or `key=value` pairs, under libpq's names (`dbname`, `sslmode`, …); not
 * checked here. Errors never repeat the text, which may hold a password.
 */
export function parseConnectionString(text: string): Map<string, string> {
  return URI_PREFIX.test(text) ? parseUri(text) : parseKeyValues(text);
}

/** `postgresql://[user[:password]@][host[:port]][/dbname][?name=value&…]`; every part percent-encoded. */
function parseUri(text: string): Map<string, string> {
  const settings = new Map<string, string>();
  const [location = '', query] = splitOnce(text.replace(URI_PREFIX, ''), '?');
  const [authority = '', database] = splitOnce(location, '/');
  const at = authority.lastIndexOf('@');
  if (at >= 0) {
    const [user, password] = splitOnce(authority.slice(0, at), ':');
    if (user) settings.set('user', decode(user));
    if (password) settings.set('password', decode(password));
  }
  parseHostPort(authority.slice(at + 1), settings);
  if (database) settings.set('dbname', decode(database));
  for (const pair of query ? query.split('&') : []) {
    const [name, value] = splitOnce(pair, '=');
    if (value === undefined) throw invalid('a parameter of the connection URI has no value');
    // JDBC's name of the setting, which libpq takes too.
    if (name === 'ssl' && value === 'true') settings.set('sslmode', 'require');
    else settings.set(decode(name ?? ''), decode(value));
  }
  return settings;
}

function parseHostPort(text: string, settings: Map<string, string>): void {
  if (text.includes(',')) throw severalHosts();
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(text);
  if (match === null)
    throw invalid('the host of the connection URI is malformed; expected host, host:port or [IPv6]:port');
  const host = match[1] ?? match[2];
  if (host) settings.set('host', decode(host));
  if (match[3]) settings.set('port', match[3]);
}

/** `key = value` with single quotes around values with spaces, and `\'` and `\\` within. */
function parseKeyValues(text: string): Map<string, string> {
  const settings = new Map<string, string>();
  const pair = /\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\']|\\.)*))(?=\s|$)/suy;
  let end = 0;
  while (text.slice(end).trim() !== '') {
    pair.lastIndex = end;
    const match = pair.exec(text);
    if (match === null)
      throw invalid(
        `the connection string is malformed at character ${end}; expected key=value, values with spaces in '…'`,
      );
    settings.set(match[1] ?? '', (match[2] ?? match[3] ?? '').replaceAll(/\\(.)/gsu, '$1'));
    end = pair.lastIndex;
  }
  return settings;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const index = text.indexOf(separator);
  return index < 0 ? [text, undefined] : [text.slice(0, index), text.slice(index + 1)];
}

function decode(text: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes('\0')) return decoded;
  } catch {
    // Falls through: the message below holds for both.
  }
  throw invalid('a part of the connection URI is not well percent-encoded');
}

export function severalHosts(): PqError {
  return new PqError({
    code: 'PQ_UNSUPPORTED',
    operation: 'parse connection string',
    message: 'the connection string names several hosts; give one',
  });
}

function invalid(message: string): PqError {
  return new PqError({ code: 'PQ_INVALID_ARGUMENT', operation: 'parse connection string', message });
}
