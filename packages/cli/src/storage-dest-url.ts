import { createSettingsScope, parseStorageUrl } from '@neon-snapshot/storage-core';
import type { Session } from './session.ts';

/**
 * `storage_dest` as it is saved: absolute, and with the parameters of its storage that came from the environment (an
 * endpoint, a region), so that the next command needs only the credentials. What is secret, or belongs to a credential, is
 * never part of it.
 */
export async function savedStorageDest(session: Session, url: string): Promise<string> {
  const location = parseStorageUrl(url, { baseDirectory: session.currentDirectory });
  const plugin = await session.registry.load('storage', location.scheme);
  const scope = createSettingsScope({ role: 'storage', env: session.env });
  const added = plugin.settings.flatMap(({ name, aliases, urlOption, secret, group }) => {
    if (urlOption === undefined || secret === true || group !== undefined) return [];
    const value = location.options.has(urlOption) ? undefined : scope.get(name, aliases);
    return value === undefined ? [] : [`${urlOption}=${encodeURIComponent(value)}`];
  });
  if (added.length === 0) return location.url;
  return `${location.url}${location.url.includes('?') ? '&' : '?'}${added.join('&')}`;
}
