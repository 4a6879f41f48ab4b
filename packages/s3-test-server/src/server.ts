import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDirectoryBlobStore, createMemoryBlobStore } from './blob-store.ts';
import { Bucket } from './bucket.ts';
import type { S3Call, S3Limits, S3Quirks, S3Reply, ServerState } from './call.ts';
import { FaultPlan, type S3Fault, type S3FaultEffect, type S3FaultHandle } from './faults.ts';
import { errorReply, sendReply } from './reply.ts';
import { receiveBody } from './request-body.ts';
import { RequestLog } from './request-log.ts';
import { handle, operationOf, parseTarget, type RouteTarget, type S3Operation } from './route.ts';
import { S3Error } from './s3-error.ts';
import { createSelfSignedCertificate } from './self-signed.ts';
import { type SignatureConfig, type SignatureSeed, verifySignature } from './signature.ts';

export interface S3TestServerOptions {
  /** Buckets that exist from the start; none without it. */
  readonly buckets?: readonly string[];
  /** Default `TESTKEY`. */
  readonly accessKeyId?: string;
  /** Default `TESTSECRET`. */
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
  /** Default `us-east-1`. */
  readonly region?: string;
  /** Bodies are kept as files of this directory instead of in memory. */
  readonly directory?: string;
  readonly quirks?: S3Quirks;
  readonly limits?: Partial<S3Limits>;
  /** HTTPS with a fresh certificate of its own. */
  readonly tls?: boolean;
  /** How far this server's clock is ahead; default 0. */
  readonly clockOffsetMs?: number;
  /** Port on loopback; default a free one. */
  readonly port?: number;
}

export interface S3TestServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The certificate to trust, with `tls`. */
  readonly caCertificatePem: string | undefined;
  readonly log: RequestLog;
  inject(fault: S3Fault): S3FaultHandle;
  /** Keys of a bucket, in byte order. */
  keys(bucketName: string): readonly string[];
  /** Headers that an object was stored with: `x-amz-meta-…`, storage class, encryption. */
  storedHeaders(bucketName: string, key: string): Readonly<Record<string, string>> | undefined;
  /** Multipart uploads that were neither completed nor aborted. */
  openUploads(bucketName: string): number;
}

const DEFAULT_LIMITS: S3Limits = {
  partSizeMinBytes: 5 * 2 ** 20,
  pageSizeMax: 1000,
  copySizeMaxBytes: 5 * 2 ** 30,
};
const TEXT_SIZE_MAX_BYTES = 8 * 2 ** 20;

/** Starts a server on loopback. */
export async function startS3TestServer(options: S3TestServerOptions = {}): Promise<S3TestServer> {
  const signatures: SignatureConfig = {
    accessKeyId: options.accessKeyId ?? 'TESTKEY',
    secretAccessKey: options.secretAccessKey ?? 'TESTSECRET',
    sessionToken: options.sessionToken,
    region: options.region ?? 'us-east-1',
    clockOffsetMs: options.clockOffsetMs ?? 0,
  };
  const state: ServerState = {
    buckets: new Map((options.buckets ?? []).map((name) => [name, new Bucket()])),
    blobs:
      options.directory === undefined ? createMemoryBlobStore() : createDirectoryBlobStore(options.directory),
    quirks: options.quirks ?? {},
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    region: signatures.region,
  };
  const service: Service = { signatures, state, faults: new FaultPlan(), log: new RequestLog() };
  const certificate = options.tls === true ? createSelfSignedCertificate() : undefined;
  const listener = (request: IncomingMessage, response: ServerResponse) =>
    void serve(service, request, response);
  const server =
    certificate === undefined
      ? createHttpServer(listener)
      : createHttpsServer({ key: certificate.keyPem, cert: certificate.certificatePem }, listener);
  const port = await listen(server, options.port ?? 0);
  return {
    endpoint: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    region: signatures.region,
    accessKeyId: signatures.accessKeyId,
    secretAccessKey: signatures.secretAccessKey,
    caCertificatePem: certificate?.certificatePem,
    log: service.log,
    inject: (fault) => service.faults.inject(fault),
    keys: (bucketName) => state.buckets.get(bucketName)?.keys() ?? [],
    storedHeaders: (bucketName, key) => state.buckets.get(bucketName)?.get(key)?.headers,
    openUploads: (bucketName) => state.buckets.get(bucketName)?.uploads.size ?? 0,
    [Symbol.asyncDispose]: () => stop(server),
  };
}

interface Service {
  readonly signatures: SignatureConfig;
  readonly state: ServerState;
  readonly faults: FaultPlan;
  readonly log: RequestLog;
}

interface Received {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: RouteTarget;
  readonly operation: S3Operation | undefined;
}

async function serve(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.on('error', () => response.destroy());
  const target = parseTarget(request.url ?? '/');
  const hasCopySource = request.headers['x-amz-copy-source'] !== undefined;
  const operation = operationOf(request.method ?? '', target, hasCopySource);
  const end = service.log.begin(operation);
  let status = 0;
  try {
    status = await answer(service, { request, response, target, operation });
  } catch {
    response.destroy();
  } finally {
    end({ key: target.key, query: target.query, headers: request.headers, status });
  }
}

/** Status of the reply; 0 where the connection was reset. */
async function answer(service: Service, received: Received): Promise<number> {
  const { request, response, target, operation } = received;
  const fault = service.faults.take(operation, target.key);
  if (fault?.kind === 'delay') await sleep(fault.delayMs);
  if (fault?.kind === 'reset' && fault.when === 'before') return reset(request);
  const reply = await perform(service, received, fault);
  if (fault?.kind === 'reset') return reset(request);
  // A reply to a body that was not read to its end: the connection can't be used again.
  if (!request.complete) response.setHeader('connection', 'close');
  await sendReply(response, reply, { fault, date: new Date(Date.now() + service.signatures.clockOffsetMs) });
  return reply.status;
}

async function perform(
  service: Service,
  received: Received,
  fault: S3FaultEffect | undefined,
): Promise<S3Reply> {
  const { request, target, operation } = received;
  try {
    if (fault?.kind === 'error') throw await injectedError(request, fault);
    const seed = verifySignature(
      { method: request.method ?? '', target: request.url ?? '', headers: request.headers },
      service.signatures,
    );
    if (operation === undefined)
      throw new S3Error(501, 'NotImplemented', `${request.method} ${request.url} is not implemented here`);
    return await handle(operation, callOf(service.state, request, target, seed));
  } catch (error) {
    return errorReply(error, request.method === 'HEAD');
  }
}

function callOf(
  state: ServerState,
  request: IncomingMessage,
  target: RouteTarget,
  seed: SignatureSeed,
): S3Call {
  const receive = () =>
    receiveBody(
      {
        headers: request.headers,
        stream: request,
        seed,
        trailingChecksumsRejected: state.quirks.trailingChecksumsRejected === true,
      },
      state.blobs,
    );
  return {
    state,
    ...target,
    headers: request.headers,
    receive,
    receiveText: async () => {
      const { blob } = await receive();
      if (blob.sizeBytes > TEXT_SIZE_MAX_BYTES)
        throw new S3Error(400, 'EntityTooLarge', 'The XML document is too large');
      const chunks: Uint8Array[] = [];
      for await (const chunk of blob.read(0, blob.sizeBytes)) chunks.push(chunk);
      await blob.dispose();
      return Buffer.concat(chunks).toString();
    },
  };
}

async function injectedError(
  request: IncomingMessage,
  fault: Extract<S3FaultEffect, { kind: 'error' }>,
): Promise<S3Error> {
  if (fault.readBody !== false) for await (const _ of request);
  return new S3Error(fault.status, fault.code, fault.message ?? `Injected: ${fault.code}`, {
    headers: fault.retryAfterSeconds === undefined ? {} : { 'retry-after': String(fault.retryAfterSeconds) },
  });
}

function reset(request: IncomingMessage): number {
  request.socket.resetAndDestroy();
  return 0;
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port');
  return address.port;
}

async function stop(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
