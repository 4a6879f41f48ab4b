/** The page server's working directory: a copy of the storage, its settings, and the user that runs it. */
import { execFileSync } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export type UserId = { readonly uid: number; readonly gid: number };

export type Workdir = {
  readonly path: string;
  /** The copy of the storage; the page server may rewrite it. */
  readonly storage: string;
  /** Given to the page server as its own directory (`-D`). */
  readonly data: string;
  /** The user to run the page server as, when we are root. */
  readonly user: UserId | undefined;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export type WorkdirOptions = {
  readonly storage: string;
  readonly walRedoBin: string | undefined;
  readonly path: string | undefined;
  readonly keep: boolean;
};

const MAJORS = [14, 15, 16, 17];

export async function openWorkdir(options: WorkdirOptions): Promise<Workdir> {
  const path =
    options.path === undefined ? await mkdtemp(join(tmpdir(), 'real-neon-')) : resolve(options.path);
  const storage = join(path, 'storage');
  const data = join(path, 'data');
  await mkdir(data, { recursive: true });
  await rm(storage, { recursive: true, force: true });
  await cp(options.storage, storage, { recursive: true });
  execFileSync('chmod', ['-R', 'u+w', storage]); // the copy of a read-only storage is read-only too
  await writeDistribution(join(path, 'postgres'), options.walRedoBin);
  await chmod(path, 0o755);
  return {
    path,
    storage,
    data,
    user: unprivilegedUser(),
    [Symbol.asyncDispose]: async () => {
      if (!options.keep) await rm(path, { recursive: true, force: true });
    },
  };
}

export type Endpoints = {
  readonly controlPlaneUrl: string;
  readonly httpPort: number;
  readonly pgPort: number;
};

/** Writes the settings, then gives everything to the user that will run the page server. */
export async function writeSettings(workdir: Workdir, endpoints: Endpoints): Promise<void> {
  const { httpPort, pgPort } = endpoints;
  const file = (name: string, text: string) => writeFile(join(workdir.data, name), text);
  await file('identity.toml', 'id = 1\n');
  await file(
    'metadata.json',
    JSON.stringify({ host: '127.0.0.1', port: pgPort, http_host: '127.0.0.1', http_port: httpPort }),
  );
  await file('pageserver.toml', settings(workdir, endpoints));
  if (workdir.user === undefined) return;
  execFileSync('chown', ['-R', `${workdir.user.uid}:${workdir.user.gid}`, workdir.path]);
}

/** Nothing runs in the background, so that a check sees what it asked for; no broker listens, none is needed. */
function settings(workdir: Workdir, { controlPlaneUrl, httpPort, pgPort }: Endpoints): string {
  const text = (value: string) => JSON.stringify(value);
  return `control_plane_api = ${text(controlPlaneUrl)}
availability_zone = "local"
broker_endpoint = "http://127.0.0.1:1"
listen_pg_addr = "127.0.0.1:${pgPort}"
listen_http_addr = "127.0.0.1:${httpPort}"
pg_auth_type = "Trust"
http_auth_type = "Trust"
pg_distrib_dir = ${text(join(workdir.path, 'postgres'))}
virtual_file_io_engine = "std-fs"
remote_storage = { local_path = ${text(workdir.storage)} }
disk_usage_based_eviction = { enabled = false }
[tenant_config]
gc_period = "0s"
compaction_period = "0s"
`;
}

/** The page server looks for `vNN/bin/postgres` when it has WAL records to apply, and clears its environment. */
async function writeDistribution(path: string, walRedoBin: string | undefined): Promise<void> {
  for (const major of MAJORS) {
    await mkdir(join(path, `v${major}`, 'lib'), { recursive: true });
    await mkdir(join(path, `v${major}`, 'bin'), { recursive: true });
    if (walRedoBin === undefined) continue;
    const program = `'${resolve(walRedoBin).replaceAll("'", "'\\''")}'`;
    const launcher = join(path, `v${major}`, 'bin', 'postgres');
    await writeFile(launcher, `#!/bin/sh\nPG_MAJOR=${major} exec ${program} "$@"\n`);
    await chmod(launcher, 0o755);
  }
}

function unprivilegedUser(): UserId | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const id = (flag: string) =>
      Number(execFileSync('id', [flag, name], { stdio: ['ignore', 'pipe', 'ignore'] }));
    try {
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // No such user here; the next one may exist.
    }
  }
  throw new Error('run as a user other than root: neither "postgres" nor "nobody" exists');
}
