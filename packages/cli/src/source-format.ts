import type { FormatPlugin } from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { CliError, usageError } from './cli-error.ts';
import { formatNames, loadFormat, type Session } from './session.ts';

/** `--snapshot_format`, else the one format that recognises what lies at the location. */
export async function sourceFormat(session: Session, storage: Storage): Promise<FormatPlugin> {
  const named = session.args.string('snapshot_format');
  if (named !== undefined) return loadFormat(session, named);
  const hint = 'check the path, or name the format with --snapshot_format';
  return detectFormat(session, storage, { hint });
}

/** The one format that recognises what lies at the location; `hint` is what to do where none or several do. */
export async function detectFormat(
  session: Session,
  storage: Storage,
  { hint }: { readonly hint: string },
): Promise<FormatPlugin> {
  const found: FormatPlugin[] = [];
  const reasons: string[] = [];
  for (const name of formatNames(session)) {
    const format = await loadFormat(session, name);
    const detection = await format.detect(storage, { signal: session.signal });
    if (detection.found) found.push(format);
    reasons.push(`${name}: ${detection.reason}`);
  }
  const [only, another] = found;
  if (only !== undefined && another === undefined) return only;
  if (only === undefined) {
    throw new CliError(
      'CLI_FORMAT_UNKNOWN',
      'detect format',
      `no known snapshot format at ${storage.url} (${reasons.join('; ')}); ${hint}`,
    );
  }
  throw usageError(`${storage.url} looks like ${found.map((format) => format.name).join(' and ')}; ${hint}`);
}
