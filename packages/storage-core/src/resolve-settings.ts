import type { StorageLocation } from './location.ts';
import type { SettingDescription } from './plugin.ts';
import type { SettingsScope } from './settings.ts';
import { StorageError } from './storage-error.ts';
import { nearestName } from './suggestion.ts';

export interface ResolveSettingsOptions {
  readonly location: StorageLocation;
  readonly scope: SettingsScope;
  readonly descriptions: readonly SettingDescription[];
}

/**
 * Values of a backend's settings by `name`: the URL's option first, then the scope, then the default.
 * Members of a group (credentials) are left out: read those with `scope.group`. An option that no setting declares is
 * `STORAGE_INVALID_OPTION` with the nearest name.
 */
export function resolveSettings(options: ResolveSettingsOptions): ReadonlyMap<string, string> {
  const { location, scope, descriptions } = options;
  refuseUnknownOptions(location, descriptions);
  const values = new Map<string, string>();
  for (const setting of descriptions) {
    if (setting.group !== undefined) continue;
    const fromUrl = setting.urlOption === undefined ? undefined : location.options.get(setting.urlOption);
    const value = fromUrl ?? scope.get(setting.name, setting.aliases) ?? setting.default;
    if (value !== undefined) values.set(setting.name, value);
  }
  return values;
}

function refuseUnknownOptions(location: StorageLocation, descriptions: readonly SettingDescription[]): void {
  const known = descriptions.flatMap((setting) =>
    setting.urlOption === undefined ? [] : [setting.urlOption],
  );
  for (const name of location.options.keys()) {
    if (known.includes(name)) continue;
    const nearest = nearestName(name, known);
    const hint =
      nearest === undefined ? `known: ${known.join(', ') || 'none'}` : `did you mean "${nearest}"?`;
    throw new StorageError({
      code: 'STORAGE_INVALID_OPTION',
      operation: 'open',
      message: `${location.scheme}:// takes no option "${name}" in its URL; ${hint}`,
      context: { option: name, url: location.url },
    });
  }
}
