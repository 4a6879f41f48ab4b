/** The files that Neon's page server wants in its directory. */
import { access, mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { writeFileAtomic } from '@neon-snapshot/repository';

export interface NeonSettings {
  /** Its directory; made where it is missing. */
  readonly directory: string;
  readonly controlPlaneUrl: string;
  readonly pgPort: number;
  readonly httpPort: number;
  /** `remote_storage` as an inline table. */
  readonly remoteStorage: string;
  /** Holds `vNN/bin/postgres`. */
  readonly pgDistribDirectory: string;
}

const NODE_ID = 1;
/** Nobody listens there: no safekeeper announces itself, and the page server only logs that. */
const NO_BROKER = 'http://127.0.0.1:1';

/** Writes `pageserver.toml`, `identity.toml` and `metadata.json`. */
export async function writeNeonSettings(settings: NeonSettings): Promise<void> {
  const { directory, pgPort, httpPort } = settings;
  await mkdir(directory, { recursive: true });
  const write = (name: string, text: string) => writeFileAtomic({ path: join(directory, name), text });
  await write('identity.toml', `id = ${NODE_ID}\n`);
  await write(
    'metadata.json',
    JSON.stringify({
      host: '127.0.0.1',
      port: pgPort,
      http_host: '127.0.0.1',
      http_port: httpPort,
      availability_zone_id: 'local',
    }),
  );
  await write('pageserver.toml', pageServerToml(settings));
}

function pageServerToml(settings: NeonSettings): string {
  const text = (value: string) => JSON.stringify(value);
  return `# Written by neon at every start.
control_plane_api = ${text(settings.controlPlaneUrl)}
availability_zone = "local"
broker_endpoint = ${text(NO_BROKER)}
listen_pg_addr = "127.0.0.1:${settings.pgPort}"
listen_http_addr = "127.0.0.1:${settings.httpPort}"
pg_auth_type = "Trust"
http_auth_type = "Trust"
pg_distrib_dir = ${text(settings.pgDistribDirectory)}
virtual_file_io_engine = "std-fs"
remote_storage = ${settings.remoteStorage}
`;
}

/** Where Neon's own Postgres of a major is installed: beside the page server program or below `/usr/local`; undefined where it is not. */
export async function findNeonPostgres(program: string, major: number): Promise<string | undefined> {
  const beside = dirname(resolve(program));
  const places = ['pg_install', '../pg_install', '../../pg_install'].map((each) => resolve(beside, each));
  for (const place of [...places, '/usr/local']) {
    const isThere = await access(join(place, `v${major}`, 'bin', 'postgres')).then(
      () => true,
      () => false,
    );
    if (isThere) return place;
  }
  return undefined;
}
