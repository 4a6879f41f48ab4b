import type { PageServer } from '../page-server/page-server.ts';
import type { Timeline } from '../timeline/timeline.ts';
import { notFound } from './http-errors.ts';
import { formatMetrics } from './metrics.ts';
import { idField } from './request-fields.ts';
import { type HttpRequest, json, type Route } from './router.ts';
import { layerSizes } from './timeline-sizes.ts';

/** Neon's `id` of a page server in identity.toml; ours is alone. */
export const NODE_ID = 1;
/** Suffix of an unsharded tenant's id, with which Neon's tools may write it. */
const UNSHARDED_SUFFIX = /-0000$/;

/** Of the whole server and of its tenant. */
export function tenantRoutes(pageServer: PageServer): Route[] {
  return [
    {
      method: 'GET',
      path: '/healthz',
      access: 'none',
      handle: () => (pageServer.signal.aborted ? json({ status: 'stopped' }, 503) : json({ status: 'ok' })),
    },
    {
      method: 'GET',
      path: '/metrics',
      handle: () => ({
        kind: 'text',
        text: formatMetrics(pageServer),
        contentType: 'text/plain; version=0.0.4; charset=utf-8',
      }),
    },
    { method: 'GET', path: '/v1/status', access: 'none', handle: () => json({ id: NODE_ID }) },
    { method: 'GET', path: '/v1/tenant', handle: () => json([tenantInfo(pageServer)]) },
    {
      method: 'GET',
      path: '/v1/tenant/:tenant',
      handle: (request) => {
        assertTenant(pageServer, request);
        return json(tenantInfo(pageServer));
      },
    },
  ];
}

/** Neon's TenantInfo. */
function tenantInfo(pageServer: PageServer): Record<string, unknown> {
  const timelines = pageServer.timelines();
  return {
    id: pageServer.tenantId,
    state: { slug: 'Active' },
    current_physical_size: timelines.reduce((sum, timeline) => sum + layerSizes(timeline).allBytes, 0),
    attachment_status: { slug: 'attached' },
    generation: pageServer.generation,
    timelines: timelines.map(({ timelineId }) => timelineId),
  };
}

export function tenantOfPath(params: HttpRequest['params']): string | undefined {
  return params.tenant === undefined
    ? undefined
    : idField(params.tenant.replace(UNSHARDED_SUFFIX, ''), 'tenant_id');
}

export function assertTenant(pageServer: PageServer, { params }: HttpRequest): void {
  const id = tenantOfPath(params);
  if (id !== pageServer.tenantId) throw notFound(`this page server has no tenant ${id}`);
}

export function timelineOf(pageServer: PageServer, request: HttpRequest): Timeline {
  assertTenant(pageServer, request);
  return pageServer.timeline(idField(request.params.timeline ?? '', 'timeline_id'));
}
