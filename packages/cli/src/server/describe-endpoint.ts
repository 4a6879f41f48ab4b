import { connectionString, type Endpoint } from '@neon-snapshot/pageserver-runner';
import type { JsonValue } from '../output/writer.ts';

/** How to connect to an endpoint, once it was built. */
export function connectionStringOf(endpoint: Endpoint, database?: string): string {
  return connectionString({ ...endpoint, passfile: endpoint.paths.passfile }, database);
}

/** An endpoint as every `--json` result shows it. */
export function endpointData(endpoint: Endpoint): { readonly [key: string]: JsonValue } {
  return {
    name: endpoint.name,
    timelineId: endpoint.timelineId,
    postgresMajor: endpoint.postgresMajor,
    running: endpoint.pid !== undefined,
    pid: endpoint.pid ?? null,
    port: endpoint.port,
    socketDirectory: endpoint.socketDirectory ?? null,
    connectionString: endpoint.builtAt === undefined ? null : connectionStringOf(endpoint),
    logFile: endpoint.paths.logFile,
  };
}
