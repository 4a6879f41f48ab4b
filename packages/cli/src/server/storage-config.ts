/** `storage_dest` in the words of Neon's own configuration: `remote_storage` of the page server, `remote_storage` of safekeepers. */
import type { StorageLocation } from '@neon-snapshot/storage-core';
import { CliError } from '../cli-error.ts';

export interface RemoteStorage {
  /** Names and values of the table, in the order in which Neon's documents have them. */
  readonly settings: Readonly<Record<string, string>>;
  /** What the reader has to know. */
  readonly notes: readonly string[];
}

/** Throws `CLI_UNSUPPORTED` for a storage that Neon's programs do not know. */
export function neonRemoteStorage(location: StorageLocation): RemoteStorage {
  const { scheme, options } = location;
  if (scheme === 'file') return { settings: { local_path: location.path }, notes: [] };
  if (scheme === 's3') {
    const region = options.get('region') ?? 'us-east-1';
    const endpoint = options.get('endpoint');
    const prefix = location.path;
    return {
      settings: {
        bucket_name: location.authority,
        bucket_region: region,
        ...(prefix === '' ? {} : { prefix_in_bucket: `/${prefix}/` }),
        ...(endpoint === undefined ? {} : { endpoint }),
      },
      notes: [
        'credentials come from the environment of the program: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY',
      ],
    };
  }
  throw new CliError(
    'CLI_UNSUPPORTED',
    'storage config',
    `Neon's programs have no remote storage of the kind ${scheme}; they know local directories and S3`,
    { scheme },
  );
}

/** As one line of TOML, which stands in `pageserver.toml`. */
export function inlineToml(settings: Readonly<Record<string, string>>): string {
  const fields = Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  return `{ ${fields.join(', ')} }`;
}
