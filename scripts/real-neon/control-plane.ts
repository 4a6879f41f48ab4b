/**
 * The two calls that a page server makes to its control plane: `re-attach` at start, `validate` before it deletes.
 * Every attach goes through here, so that each gets a generation of its own.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

const BODY_BYTES_MAX = 1 << 20;

export class ControlPlane {
  readonly url: string;
  readonly #server: Server;
  readonly #generations: Map<string, number>;

  private constructor(server: Server, generations: Map<string, number>) {
    this.#server = server;
    this.#generations = generations;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  static async open(): Promise<ControlPlane> {
    const generations = new Map<string, number>();
    const server = createServer((request, response) => {
      answer(request, generations).then(
        (body) => response.writeHead(body === undefined ? 404 : 200).end(JSON.stringify(body ?? {})),
        (cause: unknown) => response.writeHead(500).end(String(cause)),
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    return new ControlPlane(server, generations);
  }

  /** The generation for the next attach of `tenant`: one above the last, or above `stored` at first. */
  nextGeneration(tenant: string, stored: number): number {
    const generation = Math.max(this.#generations.get(tenant) ?? 0, stored) + 1;
    this.#generations.set(tenant, generation);
    return generation;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function answer(request: IncomingMessage, generations: Map<string, number>): Promise<unknown> {
  const body = await readBody(request);
  switch (request.url) {
    case '/re-attach':
      return { tenants: [...generations.keys()].map((id) => reAttached(id, generations)) };
    case '/validate':
      return {
        tenants: askedTenants(body).map(({ id, gen }) => ({ id, valid: gen === generations.get(id) })),
      };
    default:
      return undefined;
  }
}

function reAttached(id: string, generations: Map<string, number>): object {
  const gen = (generations.get(id) ?? 0) + 1;
  generations.set(id, gen);
  return { id, gen, mode: 'AttachedSingle', stripe_size: 2048 };
}

function askedTenants(body: string): readonly { id: string; gen: number }[] {
  return (JSON.parse(body) as { tenants: { id: string; gen: number }[] }).tenants;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) throw new Error(`a request of more than ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
