import type { FormatPlugin } from '@neon-snapshot/format-core';
import { PluginError, type Storage } from '@neon-snapshot/storage-core';
import { CliError, usageError } from './cli-error.ts';
import { formatNames, loadFormat, type Session } from './session.ts';

/** The one format that recognises what lies at the location; `hint` is what to do where none or several do. */
export async function detectFormat(
  session: Session,
  storage: Storage,
  { hint }: { readonly hint: string },
): Promise<FormatPlugin> {
  const found: FormatPlugin[] = [];
  const reasons: string[] = [];
  for (const name of formatNames(session)) {
    const format = await installedFormat(session, name);
    if (format === undefined) {
      reasons.push(`${name}: its package is not installed`);
      continue;
    }
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

/** A format, or undefined where the CLI was installed without its package. */
async function installedFormat(session: Session, name: string): Promise<FormatPlugin | undefined> {
  try {
    return await loadFormat(session, name);
  } catch (error) {
    if (error instanceof PluginError && error.code === 'PLUGIN_NOT_INSTALLED') return undefined;
    throw error;
  }
}
