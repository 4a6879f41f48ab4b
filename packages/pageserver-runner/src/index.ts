export { type ChildReport, reportToStarter } from './child-report.ts';
export { connectionString } from './endpoint/connection-string.ts';
export { type CreateEndpointOptions, createEndpoint } from './endpoint/create-endpoint.ts';
export type { BuildDataDirectory, BuildRequest } from './endpoint/data-directory.ts';
export type { EndpointPaths } from './endpoint/endpoint-paths.ts';
export {
  type Endpoint,
  type EndpointState,
  findEndpoint,
  listEndpoints,
  requireEndpoint,
} from './endpoint/endpoint-state.ts';
export { findPsql } from './endpoint/find-psql.ts';
export { freePort } from './endpoint/ports.ts';
export { type StartEndpointOptions, type StartedEndpoint, startEndpoint } from './endpoint/start-endpoint.ts';
export { type StopEndpointOptions, stopEndpoint } from './endpoint/stop-endpoint.ts';
export { type BoundLogOptions, boundLogFile, followLog, readLastLines } from './log-file.ts';
export {
  type ControlPlane,
  type ControlPlaneOptions,
  startControlPlane,
} from './neon-engine/control-plane.ts';
export {
  type NeonPageServer,
  type NeonPageServerOptions,
  startNeonPageServer,
} from './neon-engine/neon-page-server.ts';
export { findNeonPostgres } from './neon-engine/settings.ts';
export {
  callPageServer,
  type HttpCall,
  type HttpPlace,
  isHealthy,
  type LastRecord,
  pushTimeline,
  readLastRecord,
  readTimelineDetail,
  removeWalSource,
  sendRequest,
  setWalSource,
  type TimelineOf,
  timelinePath,
  type WalSourceSettings,
} from './page-server-client.ts';
export {
  type Durability,
  describeEnd,
  type FoundPageServer,
  findPageServer,
  type PageServerState,
  removePageServerState,
  requirePageServer,
  writePageServerState,
} from './page-server-state.ts';
export {
  isRunnerError,
  ReportedFailure,
  RunnerError,
  type RunnerErrorCode,
  type RunnerErrorContext,
} from './runner-error.ts';
export { pageServerLogFile, type StartPageServerOptions, startPageServer } from './start-page-server.ts';
export { type PageServerStop, type StopPageServerOptions, stopPageServer } from './stop-page-server.ts';
