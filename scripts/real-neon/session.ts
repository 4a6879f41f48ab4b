/** A page server on a copy of a storage, with one tenant to look at. Afterwards the server is stopped and the copy deleted. */
import { ControlPlane } from './control-plane.ts';
import type { Options } from './options.ts';
import { PageServer } from './page-server.ts';
import { chooseTenant, readStoredTenants, type StoredTenant } from './storage-root.ts';
import { attachTenant } from './tenant.ts';
import { openWorkdir, type Workdir } from './workdir.ts';

type Parts = { readonly workdir: Workdir; readonly controlPlane: ControlPlane; readonly server: PageServer };

export class Session {
  readonly tenant: StoredTenant;
  readonly workdir: Workdir;
  readonly server: PageServer;
  readonly #controlPlane: ControlPlane;

  private constructor(tenant: StoredTenant, { workdir, controlPlane, server }: Parts) {
    this.tenant = tenant;
    this.workdir = workdir;
    this.server = server;
    this.#controlPlane = controlPlane;
  }

  /** Runs `use` on an open session and closes it whatever happens. */
  static async with<T>(options: Options, use: (session: Session) => Promise<T>): Promise<T> {
    const tenant = chooseTenant(await readStoredTenants(options.storage), options.tenant);
    const { storage, walRedoBin, workdir: path, keep } = options;
    return withResource(await openWorkdir({ storage, walRedoBin, path, keep }), async (workdir) => {
      if (keep) console.error(`working in ${workdir.path}`);
      return withResource(await ControlPlane.open(), async (controlPlane) => {
        const program = options.pageserverBin;
        return withResource(await PageServer.open({ program, workdir, controlPlane }), (server) =>
          use(new Session(tenant, { workdir, controlPlane, server })),
        );
      });
    });
  }

  /** Attaches the tenant in a generation above all before, which it returns. */
  async attach(): Promise<number> {
    const generation = this.#controlPlane.nextGeneration(this.tenant.id, this.tenant.generation);
    await attachTenant(this.server, this.tenant.id, generation);
    return generation;
  }

  /** The timeline asked for, or the only one stored. */
  chooseTimeline(id: string | undefined): string {
    const [only, ...others] = this.tenant.timelines;
    if (id !== undefined) return id;
    if (only !== undefined && others.length === 0) return only;
    throw new Error(`choose one with --timeline: ${this.tenant.timelines.join(', ') || 'there is none'}`);
  }
}

/** What `await using` does, for a Node that does not have it yet. */
async function withResource<R extends AsyncDisposable, T>(
  resource: R,
  use: (resource: R) => Promise<T>,
): Promise<T> {
  try {
    return await use(resource);
  } finally {
    await resource[Symbol.asyncDispose]();
  }
}
