import { parseCommitTime } from '@neon-snapshot/neon-timeline';
import type { BranchStart } from '../branches/branch-point.ts';
import { createBranch } from '../branches/create-branch.ts';
import { deleteBranch } from '../branches/delete-branch.ts';
import type { PageServer } from '../page-server/page-server.ts';
import { isPageServerError } from '../page-server-error.ts';
import { badRequest } from './http-errors.ts';
import { idField, lsnField, optionalText, textField } from './request-fields.ts';
import { type HttpAnswer, type HttpRequest, json, type Route } from './router.ts';
import { assertTenant, timelineOf } from './tenant-routes.ts';
import { timelineInfo } from './timeline-info.ts';

const TIMELINES = '/v1/tenant/:tenant/timeline';

/** Branches are timelines that leave another one. */
export function branchRoutes(pageServer: PageServer): Route[] {
  return [
    { method: 'POST', path: TIMELINES, handle: (request) => create(pageServer, request) },
    {
      method: 'DELETE',
      path: `${TIMELINES}/:timeline`,
      handle: async (request) => {
        const { timelineId } = timelineOf(pageServer, request);
        await deleteBranch(pageServer, { timelineId, signal: request.signal });
        return json(null, 202);
      },
    },
  ];
}

/** Neon's body: `new_timeline_id`, `ancestor_timeline_id`, `ancestor_start_lsn`; ours: `ancestor_start_time` (RFC 3339). 201 for a repeat too. */
async function create(pageServer: PageServer, request: HttpRequest): Promise<HttpAnswer> {
  assertTenant(pageServer, request);
  const { body, signal } = request;
  const timelineId = idField(textField(body, 'new_timeline_id'), 'new_timeline_id');
  const ancestor = optionalText(body, 'ancestor_timeline_id');
  if (ancestor === undefined)
    throw badRequest(
      'the body has no "ancestor_timeline_id"; a timeline without ancestor is made by neon init',
    );
  const parentId = idField(ancestor, 'ancestor_timeline_id');
  const start = startOf(request);
  try {
    await createBranch(pageServer, { parentId, timelineId, start, signal });
  } catch (error) {
    if (
      !isPageServerError(error, 'PAGESERVER_EXISTS') ||
      !isRepeat(pageServer, { timelineId, parentId, start })
    )
      throw error;
  }
  return json(timelineInfo(pageServer, pageServer.timeline(timelineId)), 201);
}

function startOf({ body }: HttpRequest): BranchStart {
  const lsn = optionalText(body, 'ancestor_start_lsn');
  const text = optionalText(body, 'ancestor_start_time');
  if (lsn !== undefined && text !== undefined)
    throw badRequest('the body has both "ancestor_start_lsn" and "ancestor_start_time"; give one');
  if (lsn !== undefined) return { kind: 'lsn', lsn: lsnField(lsn, 'ancestor_start_lsn') };
  if (text === undefined) return { kind: 'tip' };
  const time = parseCommitTime(text);
  if (time === undefined)
    throw badRequest(`"ancestor_start_time" is "${text.slice(0, 40)}"; expected RFC 3339`);
  return { kind: 'time', time };
}

/** The timeline is there and left the same one, at the LSN if one was given. */
function isRepeat(
  pageServer: PageServer,
  wanted: { readonly timelineId: string; readonly parentId: string; readonly start: BranchStart },
): boolean {
  const known = pageServer.timelines().find(({ timelineId }) => timelineId === wanted.timelineId);
  if (known?.ancestor?.timelineId !== wanted.parentId) return false;
  return wanted.start.kind === 'lsn' ? known.ancestor.lsn === wanted.start.lsn : wanted.start.kind === 'tip';
}
