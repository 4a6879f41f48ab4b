import { PostgresProcessError } from './postgres-process-error.ts';

export type ServerSettings = Readonly<Record<string, string | number | boolean>>;

/** Settings whose value may hold a password: argv is visible to every user of the machine. */
const MAY_HOLD_SECRETS = new Set(['primary_conninfo', 'ssl_passphrase_command']);

/**
 * `-c name=value` for each setting. On the command line they win over every file of the cluster.
 * Throws `POSTGRES_PROCESS_OPTION` for a malformed name and for settings that may hold a secret.
 */
export function settingArguments(settings: ServerSettings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    if (!/^[a-z_][a-z0-9_.]*$/i.test(name)) throw optionError(`${name} is not the name of a setting`);
    if (MAY_HOLD_SECRETS.has(name.toLowerCase()) && value !== '')
      throw optionError(
        `${name} may hold a password and would be visible in the process list; write it to postgresql.auto.conf in the data directory`,
      );
    return ['-c', `${name}=${typeof value === 'boolean' ? (value ? 'on' : 'off') : value}`];
  });
}

function optionError(message: string): PostgresProcessError {
  return new PostgresProcessError({ code: 'POSTGRES_PROCESS_OPTION', operation: 'start', message });
}
