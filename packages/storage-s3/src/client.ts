import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { StorageError } from '@neon-snapshot/storage-core';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { addAnswerLimit } from './answer-limit.ts';
import type { S3Config } from './config.ts';
import { resolveCredentials } from './credentials.ts';
import type { S3StorageOptions } from './options.ts';
import { configuredRegion, DEFAULT_REGION, discoveredRegion } from './region.ts';

/** Sockets in all; the callers' concurrency decides how many are used. */
const SOCKETS_MAX = 128;
/** Requests that choose a storage class. As a header, for other vendors have classes that the SDK does not know. */
const WRITES = new Set(['PutObjectCommand', 'CreateMultipartUploadCommand', 'CopyObjectCommand']);

export interface OpenedClient {
  readonly client: S3Client;
  /** Which credentials are used, for messages. */
  readonly credentials: string;
}

/** The SDK's client as this backend needs it. Makes no request. */
export async function createClient(options: S3StorageOptions, config: S3Config): Promise<OpenedClient> {
  const region = await configuredRegion(options);
  const credentials = resolveCredentials(options, region ?? DEFAULT_REGION);
  const clientConfig: S3ClientConfig = {
    credentials: credentials.provider,
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    forcePathStyle: config.pathStyle,
    useDualstackEndpoint: config.dualStack,
    requestHandler: createRequestHandler(config, await readAuthorities(options.caFile)),
    // Repeats are ours (retry.ts): they need to know what an earlier attempt may have done.
    maxAttempts: 1,
    // The default checksums break many servers and cost a second pass in JavaScript; ours are in checksum.ts.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // With it, the SDK opens a new connection for every part.
    expectContinueHeader: false,
  };
  const client = new S3Client({
    ...clientConfig,
    region: region ?? discoveredRegion(config.bucket, clientConfig),
  });
  addHeaderMiddleware(client, config);
  addAnswerLimit(client);
  return { client, credentials: credentials.description };
}

function createRequestHandler(config: S3Config, ca: string | undefined): NodeHttpHandler {
  const agent = { keepAlive: true, maxSockets: SOCKETS_MAX };
  return new NodeHttpHandler({
    httpAgent: agent,
    httpsAgent: ca === undefined ? agent : { ...agent, ca },
    connectionTimeout: config.connectTimeoutMs,
    socketTimeout: config.idleTimeoutMs,
  });
}

async function readAuthorities(caFile: string | undefined): Promise<string | undefined> {
  if (caFile === undefined) return undefined;
  try {
    return await readFile(caFile, 'utf8');
  } catch (cause) {
    throw new StorageError({
      code: 'STORAGE_INVALID_OPTION',
      operation: 'open',
      message: `the certificate authorities ${caFile} (AWS_CA_BUNDLE, ca_file) can't be read`,
      cause,
    });
  }
}

/** Headers that the SDK has no option for, set before the request is signed. */
function addHeaderMiddleware(client: S3Client, config: S3Config): void {
  client.middlewareStack.add(
    (next, context) => (args) => {
      const { request } = args;
      if (isHttpRequest(request)) {
        if (context.commandName === 'DeleteObjectsCommand') useContentMd5(request);
        if (!config.signPayload && request.body !== undefined)
          request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
        if (config.storageClass !== undefined && WRITES.has(String(context.commandName)))
          request.headers['x-amz-storage-class'] = config.storageClass;
        // As a header and not as the SDK's input, which would verify in JavaScript, at a tenth of the speed.
        if (config.checksum !== 'none' && context.commandName === 'GetObjectCommand')
          request.headers['x-amz-checksum-mode'] = 'ENABLED';
      }
      return next(args);
    },
    // Last of its step: after the SDK's checksums, before signing.
    { step: 'build', priority: 'low', name: 'neonSnapshotHeaders' },
  );
}

interface HttpRequestShape {
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

function isHttpRequest(request: unknown): request is HttpRequestShape {
  return (
    typeof request === 'object' &&
    request !== null &&
    'headers' in request &&
    typeof request.headers === 'object'
  );
}

/** Content-MD5 in place of the newer checksum headers, which Ceph, Swift, Scality and old MinIO do not know. */
function useContentMd5(request: HttpRequestShape): void {
  const { body, headers } = request;
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return;
  for (const name of Object.keys(headers))
    if (/^x-amz-(checksum-|sdk-checksum-)/i.test(name)) delete headers[name];
  headers['content-md5'] = createHash('md5').update(body).digest('base64');
}
