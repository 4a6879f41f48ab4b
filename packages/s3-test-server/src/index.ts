export type { S3Limits, S3Quirks } from './call.ts';
export type { S3Fault, S3FaultEffect, S3FaultHandle } from './faults.ts';
export type { RequestLog, S3LogEntry } from './request-log.ts';
export type { S3Operation } from './route.ts';
export { type S3TestServer, type S3TestServerOptions, startS3TestServer } from './server.ts';
