import { afterEach, beforeEach, expect, it } from 'vitest';
import { sendRequest } from '../page-server-client.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';

const TENANT_ID = 'a'.repeat(32);

let held: () => Promise<boolean>;
let plane: ControlPlane;
beforeEach(async () => {
  held = () => Promise.resolve(true);
  plane = await startControlPlane({ tenantId: TENANT_ID, generation: 7, isHeld: () => held() });
});
afterEach(() => plane[Symbol.asyncDispose]());

function ask(path: string, body: object) {
  const { hostname, port } = new URL(plane.url);
  return sendRequest({ host: hostname, httpPort: Number(port) }, { method: 'POST', path, body });
}

it('a page server that starts gets its tenant with the generation of the lease', async () => {
  expect(await ask('/re-attach', { node_id: 1 })).toEqual({
    status: 200,
    body: { tenants: [{ id: TENANT_ID, gen: 7, mode: 'AttachedSingle', stripe_size: 2048 }] },
  });
});

it('a generation is valid while the lease is held, and no other one', async () => {
  const asked = {
    tenants: [
      { id: TENANT_ID, gen: 7 },
      { id: TENANT_ID, gen: 6 },
      { id: 'b'.repeat(32), gen: 7 },
    ],
  };
  const valid = async () =>
    ((await ask('/validate', asked)).body as { tenants: { valid: boolean }[] }).tenants.map(
      (each) => each.valid,
    );
  expect(await valid()).toEqual([true, false, false]);
  held = () => Promise.resolve(false);
  expect(await valid()).toEqual([false, false, false]);
});

it('where it cannot be told whether the lease is held nothing is answered, so that nothing is deleted', async () => {
  held = () => Promise.reject(new Error('the storage does not answer'));
  expect((await ask('/validate', { tenants: [] })).status).toBe(503);
  expect((await ask('/validate', { nonsense: true })).status).toBe(503);
  expect((await ask('/other', {})).status).toBe(404);
});
