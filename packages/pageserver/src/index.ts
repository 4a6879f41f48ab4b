export { type JwtClaims, type JwtVerifier, loadJwtVerifier } from './access/jwt.ts';
export {
  type ListeningService,
  type StartHttpServerOptions,
  startHttpServer,
} from './http/start-http-server.ts';
export type { PageServerEvent } from './page-server/events.ts';
export type { Durability, PageServerConfig, PageServerOptions } from './page-server/options.ts';
export { PageServer } from './page-server/page-server.ts';
export type { WalSource, WalSourceState } from './page-server/wal-source.ts';
export {
  isPageServerError,
  PageServerError,
  type PageServerErrorCode,
  type PageServerErrorOptions,
} from './page-server-error.ts';
export { type StartPageServiceOptions, startPageService } from './page-service/start-page-service.ts';
export { Timeline } from './timeline/timeline.ts';
export type {
  CallOptions,
  LastRecord,
  LayerChange,
  PushState,
  TimelineMetrics,
  WaitOptions,
} from './timeline/timeline-types.ts';
