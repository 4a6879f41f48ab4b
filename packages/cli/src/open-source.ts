import type { FormatPlugin, LiveReadContext, ReadContext, SnapshotReader } from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { CliError } from './cli-error.ts';
import { loadFormat, openLocation, type Session } from './session.ts';
import { detectFormat } from './source-format.ts';

/** Where a snapshot is read: in a storage, or from a running server. */
export type SourcePlace = { readonly storage: Storage } | { readonly server: string };

/** A place at `--snapshot_path` and its format. Dispose to close what was opened. */
export interface OpenSourcePlace extends AsyncDisposable {
  readonly place: SourcePlace;
  readonly format: FormatPlugin;
}

/**
 * Opens what `--snapshot_path` names, or another flag: a storage URL, a path, or a server by its URL or connection string.
 * `formatFlag` names the flag that may say the format.
 */
export async function openSourcePlace(
  session: Session,
  text: string,
  { formatFlag }: { readonly formatFlag: string } = { formatFlag: 'snapshot_format' },
): Promise<OpenSourcePlace> {
  const name = liveFormatName(session, text);
  const named = session.args.string(formatFlag);
  if (name !== undefined) {
    const format = await loadFormat(session, named ?? name);
    return { place: { server: text }, format, async [Symbol.asyncDispose]() {} };
  }
  const storage = await openLocation(session, text, { role: 'snapshot', access: 'read' });
  const dispose = () => storage[Symbol.asyncDispose]();
  try {
    return {
      place: { storage },
      format:
        named === undefined
          ? await detectFormat(session, storage, {
              hint: `check the path, or name the format with --${formatFlag}`,
            })
          : await loadFormat(session, named),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** libpq's `host=… user=…` names the same servers as its URLs. */
const CONNECTION_STRING = /^\s*(?:host|hostaddr|port|user|dbname|service|passfile)\s*=/;
const CONNECTION_SCHEME = 'postgresql';

function liveFormatName({ registry }: Session, text: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined) return registry.formatOfLiveScheme(scheme);
  return CONNECTION_STRING.test(text) ? registry.formatOfLiveScheme(CONNECTION_SCHEME) : undefined;
}

const ROLE_PREFIX = 'NEON_SNAPSHOT_';

/** Opens the reader of a source. Of the environment a server gets `X` as `NEON_SNAPSHOT_X` says, where that is set. */
export async function openSource(
  source: { readonly place: SourcePlace; readonly format: FormatPlugin },
  context: Omit<ReadContext, 'storage'> & Pick<LiveReadContext, 'env'>,
): Promise<SnapshotReader> {
  const { place, format } = source;
  if ('storage' in place) return format.openReader({ ...context, storage: place.storage });
  if (format.openLiveReader === undefined) {
    throw new CliError(
      'CLI_FORMAT_ONE_WAY',
      'open format',
      `the format ${format.name} takes no snapshot of a running server; leave --snapshot_format out`,
    );
  }
  return format.openLiveReader({
    ...context,
    server: place.server,
    env: serverEnvironment(context.env),
  });
}

/** What a server that is read from finds in the environment: of `NEON_SNAPSHOT_X` and `X` the first that is set. */
export function serverEnvironment(env: LiveReadContext['env']): LiveReadContext['env'] {
  const own = Object.entries(env)
    .filter(([name, value]) => name.startsWith(ROLE_PREFIX) && value !== undefined && value !== '')
    .map(([name, value]) => [name.slice(ROLE_PREFIX.length), value] as const);
  return { ...env, ...Object.fromEntries(own) };
}
