/** Attach, detach, compact and describe a tenant on a running page server. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PageServer } from './page-server.ts';

const ACTIVATION_TIMEOUT_MS = 120_000;

/** The fields that the driver reads; the server gives many more. */
export type TimelineDetails = {
  readonly timeline_id: string;
  readonly ancestor_timeline_id: string | null;
  readonly last_record_lsn: string;
  readonly prev_record_lsn: string | null;
  readonly disk_consistent_lsn: string;
  readonly remote_consistent_lsn: string;
  readonly initdb_lsn: string;
  readonly pg_version: number;
  readonly current_logical_size: number | null;
  readonly state: unknown;
};

export type LayerCounts = { readonly image: number; readonly delta: number };

export type TimelineOf = { readonly tenant: string; readonly timeline: string };

/** Returns when the tenant is active; a tenant that the server can't load is an error with its reason. */
export async function attachTenant(server: PageServer, tenant: string, generation: number): Promise<void> {
  await server.call('PUT', `/v1/tenant/${tenant}/location_config`, {
    mode: 'AttachedSingle',
    generation,
    tenant_conf: {},
  });
  const deadline = Date.now() + ACTIVATION_TIMEOUT_MS;
  for (;;) {
    const { state } = (await server.call('GET', `/v1/tenant/${tenant}`)) as { state: TenantState };
    if (state.slug === 'Active') return;
    if (state.slug === 'Broken') throw new Error(`tenant ${tenant} is broken: ${JSON.stringify(state.data)}`);
    if (Date.now() > deadline) throw new Error(`tenant ${tenant} is still ${state.slug}`);
    await sleep(50);
  }
}

type TenantState = { readonly slug: string; readonly data?: unknown };

export async function detachTenant(server: PageServer, tenant: string): Promise<void> {
  await server.call('PUT', `/v1/tenant/${tenant}/location_config`, { mode: 'Detached', tenant_conf: {} });
}

export async function listTimelines(server: PageServer, tenant: string): Promise<readonly TimelineDetails[]> {
  return (await server.call('GET', `/v1/tenant/${tenant}/timeline`)) as TimelineDetails[];
}

export async function countLayers(
  server: PageServer,
  { tenant, timeline }: TimelineOf,
): Promise<LayerCounts> {
  const answer = await server.call('GET', `/v1/tenant/${tenant}/timeline/${timeline}/layer`);
  const { historic_layers: layers } = answer as { historic_layers: { kind: string }[] };
  const count = (kind: string) => layers.filter((layer) => layer.kind === kind).length;
  return { image: count('Image'), delta: count('Delta') };
}

/** Makes the server write image layers of its own at the timeline's end, and waits until they are stored. */
export async function rewriteLayers(server: PageServer, { tenant, timeline }: TimelineOf): Promise<void> {
  const path = `/v1/tenant/${tenant}/timeline/${timeline}`;
  const query = 'force_image_layer_creation=true&force_repartition=true&wait_until_uploaded=true';
  await server.call('PUT', `${path}/checkpoint?${query}`);
  await server.call('PUT', `${path}/compact?${query}`);
}
