import type { PageServer } from '../page-server/page-server.ts';
import { badRequest, unsupported } from './http-errors.ts';
import { assertOnlyFields, booleanQuery, optionalInteger } from './request-fields.ts';
import { type HttpAnswer, type HttpRequest, json, type Route } from './router.ts';
import { timelineOf } from './tenant-routes.ts';

const TIMELINE = '/v1/tenant/:tenant/timeline/:timeline';

/** Compaction and garbage collection on demand; both go on by themselves, too. */
export function maintenanceRoutes(pageServer: PageServer): Route[] {
  return [
    { method: 'PUT', path: `${TIMELINE}/compact`, handle: (request) => compact(pageServer, request) },
    { method: 'PUT', path: `${TIMELINE}/do_gc`, handle: (request) => collect(pageServer, request) },
  ];
}

/** Answers when the layers are compacted and in the storage. Partitions are made anew each time, as `force_repartition` asks. */
async function compact(pageServer: PageServer, request: HttpRequest): Promise<HttpAnswer> {
  const { timelineId } = timelineOf(pageServer, request);
  const { query, body, signal } = request;
  const wanted = {
    forceL0: booleanQuery(query, 'force_l0_compaction'),
    forceImages: booleanQuery(query, 'force_image_layer_creation'),
  };
  for (const name of ['enhanced_gc_bottom_most_compaction', 'dry_run'])
    if (booleanQuery(query, name)) throw unsupported(`compaction has no ${name} here`);
  const [field] = Object.entries(body).find(([, value]) => value !== null && value !== false) ?? [];
  if (field !== undefined)
    throw unsupported(`compaction is of whole timelines and at once; leave out "${field}"`);
  await pageServer.maintain(
    timelineId,
    (maintenance, options) => maintenance.compact({ ...wanted, ...options }),
    { signal },
  );
  return json(null);
}

/** Neon's GcResult. The cutoff meets both `gc_horizon` and the PITR interval, so that nothing is counted for the latter alone. */
async function collect(pageServer: PageServer, request: HttpRequest): Promise<HttpAnswer> {
  const { timelineId } = timelineOf(pageServer, request);
  assertOnlyFields(request.body, ['gc_horizon']);
  const horizonBytes = optionalInteger(request.body, 'gc_horizon');
  if (horizonBytes !== undefined && horizonBytes < 0) throw badRequest('"gc_horizon" is negative');
  const startedAt = performance.now();
  const collected = await pageServer.maintain(
    timelineId,
    (maintenance, options) => maintenance.collect({ horizonBytes, ...options }),
    { signal: request.signal },
  );
  const { considered, neededByCutoff, neededByRetained, layers } = collected;
  return json({
    layers_total: considered,
    layers_needed_by_cutoff: neededByCutoff,
    layers_needed_by_pitr: 0,
    layers_needed_by_branches: neededByRetained,
    layers_needed_by_leases: 0,
    layers_not_updated: considered - neededByCutoff - neededByRetained - layers,
    layers_removed: layers,
    elapsed: Math.round(performance.now() - startedAt),
  });
}
