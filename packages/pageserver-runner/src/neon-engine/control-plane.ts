/** The calls that Neon's page server makes to its control plane, answered from a lease. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ControlPlaneOptions {
  readonly tenantId: string;
  /** Of the lease: that of everything the page server writes. */
  readonly generation: number;
  /** Whether the lease is still ours; rejects where that cannot be told. */
  readonly isHeld: () => Promise<boolean>;
}

export interface ControlPlane extends AsyncDisposable {
  /** With a `/` at its end, as `control_plane_api`. */
  readonly url: string;
}

/** Stripe size of tenants that are not sharded: written, never used. */
const STRIPE_SIZE_BLOCKS = 2048;
const BODY_BYTES_MAX = 1024 * 1024;

/** Listens on a free port of 127.0.0.1. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const server = createServer((request, response) => void respond(request, response, options));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  options: ControlPlaneOptions,
): Promise<void> {
  try {
    const answer = await answerCall(request, options);
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? {}));
  } catch (error) {
    // The page server asks again; deleting anything meanwhile is what it must not do.
    response.writeHead(503).end(JSON.stringify({ msg: String(error) }));
  }
}

async function answerCall(request: IncomingMessage, options: ControlPlaneOptions): Promise<unknown> {
  const body = await readBody(request);
  const { tenantId, generation } = options;
  switch (request.url?.replace(/\?.*$/, '')) {
    case '/re-attach':
      return {
        tenants: [{ id: tenantId, gen: generation, mode: 'AttachedSingle', stripe_size: STRIPE_SIZE_BLOCKS }],
      };
    case '/validate': {
      const isHeld = await options.isHeld();
      const valid = (asked: AskedTenant) => isHeld && asked.id === tenantId && asked.gen === generation;
      return { tenants: askedTenants(body).map((asked) => ({ id: asked.id, valid: valid(asked) })) };
    }
    case '/timeline_import_status':
      return request.method === 'POST' ? {} : undefined;
    default:
      return undefined;
  }
}

interface AskedTenant {
  readonly id: string;
  readonly gen: number;
}

function askedTenants(body: string): readonly AskedTenant[] {
  const value: unknown = JSON.parse(body);
  const { tenants } = (value ?? {}) as { readonly tenants?: unknown };
  if (!Array.isArray(tenants)) throw new Error('validate without tenants');
  return tenants.map(({ id, gen }: Record<string, unknown>) => ({ id: String(id), gen: Number(gen) }));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) throw new Error(`a request of more than ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
