import { rename, rm, stat } from 'node:fs/promises';
import { formatLsn, type Lsn, parseLsn } from '@neon-snapshot/postgres';
import type { PostgresInstallation } from '@neon-snapshot/postgres-process';
import { type LastRecord, pushTimeline, readLastRecord, readTimelineDetail } from '../page-server-client.ts';
import type { PageServerState } from '../page-server-state.ts';
import { RunnerError } from '../runner-error.ts';
import type { Endpoint } from './endpoint-state.ts';
import { prepareRoles } from './prepare-roles.ts';
import { proveReuse } from './reuse-proof.ts';

export interface BuildRequest {
  readonly tenantId: string;
  readonly timelineId: string;
  /** Absent; to be made. */
  readonly dataDirectory: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes the data directory of a stopped cluster that stands at the end of a timeline and continues it on TimeLineID 1; returns where
 * its next record starts: its own shutdown checkpoint.
 */
export type BuildDataDirectory = (request: BuildRequest) => Promise<{ readonly nextRecord: Lsn }>;

export interface DataDirectoryOptions {
  readonly pageServer: PageServerState;
  readonly installation: PostgresInstallation;
  readonly build: BuildDataDirectory;
  readonly onNote?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What is known of the cluster in the directory. */
export interface PreparedDirectory {
  readonly superuser: string;
  readonly builtAt: string;
  readonly reused: boolean;
}

/** Sees to it that the endpoint's data directory continues its timeline: the one that is there where that is proven, else a new one. */
export async function prepareDataDirectory(
  endpoint: Endpoint,
  options: DataDirectoryOptions,
): Promise<PreparedDirectory> {
  const { dataDirectory } = endpoint.paths;
  const { superuser, builtAt } = endpoint;
  if ((await exists(dataDirectory)) && superuser !== undefined && builtAt !== undefined) {
    const answer = await proveReuse({ dataDirectory, builtAt, ...(await timelineEnd(endpoint, options)) });
    if (answer.reusable) return { superuser, builtAt, reused: true };
    const aside = `${dataDirectory}.replaced`;
    options.onNote?.(
      `the data directory of endpoint ${endpoint.name} does not continue the timeline: ${answer.reason}; it is kept as ${aside} and built anew`,
    );
    await rm(aside, { recursive: true, force: true });
    await rename(dataDirectory, aside);
  }
  return buildAnew(endpoint, options);
}

async function timelineEnd(
  endpoint: Endpoint,
  { pageServer, signal }: DataDirectoryOptions,
): Promise<{ readonly timelineEnd: Lsn; readonly lastRecord: LastRecord | undefined }> {
  const timeline = { tenantId: pageServer.tenantId, timelineId: endpoint.timelineId };
  const [detail, lastRecord] = await Promise.all([
    readTimelineDetail(pageServer, timeline, signal),
    readLastRecord(pageServer, timeline, signal),
  ]);
  const text = detail.last_record_lsn;
  if (typeof text === 'string') return { timelineEnd: parseLsn(text), lastRecord };
  throw new RunnerError({
    code: 'RUNNER_HTTP',
    operation: 'start endpoint',
    message: `the page server does not say where timeline ${endpoint.timelineId} ends (no last_record_lsn)`,
    context: { timelineId: endpoint.timelineId },
  });
}

/** Under another name until it is whole, so that what a killed start leaves is never taken for a cluster. */
async function buildAnew(endpoint: Endpoint, options: DataDirectoryOptions): Promise<PreparedDirectory> {
  const { pageServer, installation, signal } = options;
  const { dataDirectory, passfile } = endpoint.paths;
  const { timelineId } = endpoint;
  const fresh = `${dataDirectory}.new`;
  await rm(dataDirectory, { recursive: true, force: true });
  await rm(fresh, { recursive: true, force: true });
  const timeline = { tenantId: pageServer.tenantId, timelineId };
  await pushTimeline(pageServer, timeline, { what: 'tail', signal });
  const built = await options.build({ ...timeline, dataDirectory: fresh, signal });
  const superuser = await prepareRoles({ installation, dataDirectory: fresh, passfile, signal });
  await rename(fresh, dataDirectory);
  return { superuser, builtAt: formatLsn(built.nextRecord), reused: false };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
