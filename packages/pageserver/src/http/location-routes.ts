/**
 * Neon's location configs: where a storage controller has tenants attached. This page server has one tenant from its start to
 * its end, under the generation of its lease, and its settings are those it was started with.
 */

import { MAINTENANCE_DEFAULTS } from '../maintenance/settings.ts';
import type { PageServer } from '../page-server/page-server.ts';
import { badRequest, notFound, unsupported } from './http-errors.ts';
import { assertOnlyFields, optionalInteger, textField } from './request-fields.ts';
import { type HttpAnswer, type HttpRequest, json, type Route } from './router.ts';
import { NODE_ID, tenantOfPath } from './tenant-routes.ts';

/** Neon's `LocationConfigMode`. */
const MODES = ['AttachedSingle', 'AttachedMulti', 'AttachedStale', 'Secondary', 'Detached'];
const FIELDS = [
  'mode',
  'generation',
  'secondary_conf',
  'shard_number',
  'shard_count',
  'shard_stripe_size',
  'tenant_conf',
];
/** Neon's `DEFAULT_STRIPE_SIZE`, which means nothing for a tenant in one piece. */
const STRIPE_SIZE = 2048;

export function locationRoutes(pageServer: PageServer): Route[] {
  return [
    {
      method: 'PUT',
      path: '/v1/tenant/:tenant/location_config',
      handle: (request) => configure(pageServer, request),
    },
    {
      method: 'GET',
      path: '/v1/location_config',
      handle: () => json({ tenant_shards: [[pageServer.tenantId, locationConfig(pageServer)]] }),
    },
    {
      method: 'GET',
      path: '/v1/location_config/:tenant',
      handle: ({ params }) => {
        const id = tenantOfPath(params);
        if (id !== pageServer.tenantId) throw notFound(`this page server has no tenant ${id}`);
        return json(locationConfig(pageServer));
      },
    },
  ];
}

function locationConfig({ generation, config }: PageServer): Record<string, unknown> {
  return {
    mode: 'AttachedSingle',
    generation,
    secondary_conf: null,
    shard_number: 0,
    shard_count: 0,
    shard_stripe_size: STRIPE_SIZE,
    tenant_conf: {
      gc_horizon: MAINTENANCE_DEFAULTS.gcHorizonBytes,
      pitr_interval: `${Math.round(config.pitrIntervalMs / 1000)}s`,
    },
  };
}

/** Takes what is so already, and refuses everything that would have to change. */
function configure(pageServer: PageServer, { params, body }: HttpRequest): HttpAnswer {
  const tenantId = tenantOfPath(params);
  assertOnlyFields(body, FIELDS);
  const mode = textField(body, 'mode');
  if (!MODES.includes(mode)) throw badRequest(`mode is "${mode.slice(0, 40)}"; expected ${MODES.join(', ')}`);
  const isOwn = tenantId === pageServer.tenantId;
  // As Neon has it: what is not attached is detached.
  if (!isOwn && mode === 'Detached') return json(null);
  if (!isOwn)
    throw unsupported(
      `this page server serves tenant ${pageServer.tenantId} and no other; start another one for it`,
    );
  if (mode !== 'AttachedSingle')
    throw unsupported(
      `the tenant is attached for as long as this page server runs, not ${mode}; stop it instead`,
    );
  assertGeneration(pageServer, optionalInteger(body, 'generation'));
  if ((optionalInteger(body, 'shard_count') ?? 0) > 1) throw unsupported('the tenant is in one piece');
  assertSettings(pageServer, body.tenant_conf);
  return json({ shards: [{ shard_id: pageServer.tenantId, node_id: NODE_ID }], stripe_size: null });
}

function assertGeneration({ generation }: PageServer, asked: number | undefined): void {
  if (asked === undefined || asked === generation) return;
  if (asked < generation)
    throw badRequest(`generation ${asked} is older than that of this page server, ${generation}`);
  throw unsupported(
    `the generation is that of the lease on the storage, ${generation}; another one is had by a start of the page server`,
  );
}

function assertSettings(pageServer: PageServer, settings: unknown): void {
  if (settings === undefined || settings === null) return;
  if (typeof settings !== 'object' || Array.isArray(settings)) throw badRequest('"tenant_conf" is no object');
  const own = new Map(Object.entries(Object(locationConfig(pageServer).tenant_conf)));
  for (const [name, value] of Object.entries(settings)) {
    if (value === null || own.get(name) === value) continue;
    throw unsupported(
      `the setting ${name} is taken from the flags of neon start, not from a location config`,
    );
  }
}
