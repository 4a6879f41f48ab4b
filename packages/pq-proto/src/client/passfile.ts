import { readFile, stat } from 'node:fs/promises';

export interface PassfileQuery {
  /** `localhost` for a Unix socket in a usual directory, else its directory. */
  readonly host: string;
  readonly port: number;
  /** `replication` for a physical replication connection. */
  readonly database: string;
  readonly user: string;
}

export interface PassfileAnswer {
  readonly password?: string;
  /** Why the file was not used although it is there; for an error message. */
  readonly ignored?: string;
}

/** The password of the first line of a libpq password file that fits. No file, no password. */
export async function lookUpPassfile(path: string, query: PassfileQuery): Promise<PassfileAnswer> {
  let text: string;
  try {
    const { mode } = await stat(path);
    // As libpq: a file that others may read is not trusted.
    if (mode & 0o077)
      return { ignored: `${path} is open to group or others, so it was not used; chmod 0600 it` };
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {};
    return { ignored: `${path} could not be read` };
  }
  const password = findPassword(text, query);
  return password === undefined ? {} : { password };
}

/** Lines `host:port:database:user:password`; `*` fits all, `\:` and `\\` are escapes, `#` begins a comment. */
export function findPassword(text: string, query: PassfileQuery): string | undefined {
  const wanted = [query.host, String(query.port), query.database, query.user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const [fields, password] = splitLine(line);
    if (password === undefined) continue;
    if (wanted.every((value, index) => fields[index] === '*' || unescapeField(fields[index] ?? '') === value))
      return unescapeField(password);
  }
  return undefined;
}

/** The first four fields, still escaped, and what follows them. */
function splitLine(line: string): [string[], string | undefined] {
  const match = /^((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):(.*)$/.exec(line);
  return match ? [match.slice(1, 5), match[5]] : [[], undefined];
}

function unescapeField(text: string): string {
  return text.replaceAll(/\\(.)/g, '$1');
}
