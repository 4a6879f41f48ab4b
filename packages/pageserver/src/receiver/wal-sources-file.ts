import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isWalSourceTls, type WalSource } from '../page-server/wal-source.ts';
import { PageServerError } from '../page-server-error.ts';

const FILE_NAME = 'pageserver-wal-sources.json';

/**
 * Where WAL comes from, by timeline id: a file of the state directory, so that a page server that is started again connects by itself. Holds
 * addresses and names, no secret.
 */
export class WalSourcesFile {
  readonly #path: string;

  constructor(stateDirectory: string) {
    this.#path = join(stateDirectory, FILE_NAME);
  }

  /** Empty where there is none. A file that does not parse is `PAGESERVER_INVALID_STATE`. */
  async read(): Promise<ReadonlyMap<string, WalSource>> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Map();
      throw this.#failure('cannot be read', error);
    }
    return parse(text, (cause) =>
      this.#failure('is damaged; delete it and start the endpoints again', cause),
    );
  }

  async write(sources: ReadonlyMap<string, WalSource>): Promise<void> {
    const temporary = `${this.#path}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      const text = `${JSON.stringify(Object.fromEntries(sources), undefined, 2)}\n`;
      await writeFile(temporary, text, { mode: 0o600, flush: true });
      await rename(temporary, this.#path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw this.#failure('cannot be written', error);
    }
  }

  #failure(what: string, cause: unknown): PageServerError {
    return new PageServerError({
      code: 'PAGESERVER_IO',
      operation: 'wal source',
      message: `${this.#path} ${what}`,
      context: { path: this.#path },
      cause,
    });
  }
}

function parse(text: string, failure: (cause: unknown) => PageServerError): ReadonlyMap<string, WalSource> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw failure(error);
  }
  if (typeof json !== 'object' || json === null) throw failure(undefined);
  return new Map(
    Object.entries(json).map(([timelineId, value]): [string, WalSource] => {
      const source = parseWalSource(value);
      if (source === undefined) throw failure(undefined);
      return [timelineId, source];
    }),
  );
}

/** A WAL source as JSON has it, or undefined for anything else. */
function parseWalSource(value: unknown): WalSource | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { host, port, user, passfile, slot } = value as Readonly<Record<string, unknown>>;
  if (typeof host !== 'string' || typeof port !== 'number' || typeof user !== 'string') return undefined;
  if (typeof slot !== 'string' || (passfile !== undefined && typeof passfile !== 'string')) return undefined;
  const { tls, tlsRootCertificate, timeLineId } = value as Readonly<Record<string, unknown>>;
  if (tls !== undefined && !isWalSourceTls(tls)) return undefined;
  if (tlsRootCertificate !== undefined && typeof tlsRootCertificate !== 'string') return undefined;
  if (timeLineId !== undefined && typeof timeLineId !== 'number') return undefined;
  return { host, port, user, passfile, slot, tls, tlsRootCertificate, timeLineId };
}
