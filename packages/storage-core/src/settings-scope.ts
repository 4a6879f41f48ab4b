import type { SettingsScope } from './settings.ts';

/** Environment prefix of each role. */
const ROLE_PREFIX = { storage: 'NEON_STORAGE_', snapshot: 'NEON_SNAPSHOT_' } as const;
/** WAL-G accepts each of its settings with and without this prefix. */
const WALG_PREFIX = 'WALG_';

export interface SettingsScopeOptions {
  readonly role: SettingsScope['role'];
  /** Where settings are looked up, e.g. `process.env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** One sentence for the user: two names of one setting disagree. Never holds a value. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** Settings of one role out of an environment; see {@link SettingsScope} for the order of the names. */
export function createSettingsScope(options: SettingsScopeOptions): SettingsScope {
  const { role, env, warn } = options;
  const prefixes = [ROLE_PREFIX[role], '', WALG_PREFIX];
  const read = (name: string): string | undefined => env[name] || undefined;

  const get: SettingsScope['get'] = (name, aliases = []) => {
    for (const prefix of prefixes) {
      const names = [name, ...aliases].map((each) => prefix + each);
      const found = names.filter((each) => read(each) !== undefined);
      const [chosen] = found;
      if (chosen === undefined) continue;
      for (const other of found.slice(1)) {
        if (read(other) !== read(chosen)) warn?.(`${chosen} and ${other} differ; ${chosen} is used`);
      }
      return read(chosen);
    }
    return undefined;
  };

  const group: SettingsScope['group'] = (names) => {
    for (const prefix of prefixes) {
      const values: Record<string, string> = {};
      for (const name of names) {
        const value = read(prefix + name);
        if (value !== undefined) values[name] = value;
      }
      if (Object.keys(values).length > 0)
        return { source: prefix === '' ? 'environment' : `${prefix}*`, values };
    }
    return { source: 'none', values: {} };
  };

  return { role, get, group };
}
