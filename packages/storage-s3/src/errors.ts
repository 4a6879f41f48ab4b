import {
  type ErrorContext,
  isStorageError,
  StorageError,
  type StorageErrorCode,
  type StorageOperation,
} from '@neon-snapshot/storage-core';
import { type NetworkFailure, networkFailure } from './network-failure.ts';
import { readSdkError, retryAfter, type SdkError, withoutRequest } from './sdk-error.ts';

/** What the messages of one opened storage may say. */
export interface S3ErrorFacts {
  readonly url: string;
  readonly bucket: string;
  /** The endpoint as the user gave it, or AWS' in words. */
  readonly endpoint: string;
  /** E.g. `key id AKIA… from NEON_STORAGE_*`; never a secret. */
  readonly credentials: string;
  /** Masks every secret that this storage knows. */
  redact(text: string): string;
}

export interface S3Place {
  readonly operation: StorageOperation;
  readonly key?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Translation {
  readonly code: StorageErrorCode;
  readonly message: string;
  readonly retryable?: boolean;
  readonly context?: ErrorContext;
}

/** Any failure of the SDK or the network as a StorageError; one that is a StorageError already stays as it is. */
export function translateError(error: unknown, place: S3Place, facts: S3ErrorFacts): StorageError {
  if (isStorageError(error)) return error;
  const sdk = readSdkError(error);
  const where = place.key === undefined ? facts.url : `${facts.url}/${place.key}`;
  const told = place.signal?.aborted
    ? { code: 'STORAGE_ABORTED' as const, message: `${place.operation} of ${where} was aborted` }
    : (serviceFailure(sdk, place, facts, where) ?? localFailure(error, sdk, facts, where));
  return new StorageError({
    code: told.code,
    operation: place.operation,
    key: place.key,
    message: facts.redact(told.message),
    retryable: told.retryable ?? false,
    context: {
      bucket: facts.bucket,
      endpoint: facts.endpoint,
      status: sdk.status,
      s3Code: sdk.status === undefined ? undefined : sdk.code,
      requestId: sdk.requestId,
      ...told.context,
    },
    cause: place.signal?.aborted ? place.signal.reason : withoutRequest(error, facts.redact),
  });
}

function serviceFailure(
  sdk: SdkError,
  place: S3Place,
  facts: S3ErrorFacts,
  where: string,
): Translation | undefined {
  if (sdk.status === undefined) return undefined;
  const correct = regionHint(sdk, place.operation);
  if (correct !== undefined)
    return {
      code: 'STORAGE_INVALID_OPTION',
      message: `bucket ${facts.bucket} is not in the region that the request was signed for; its region is ${correct}: set region=${correct} or AWS_REGION=${correct}`,
      context: { region: correct },
    };
  return (
    byCode(sdk, place, facts, where) ??
    byStatus(sdk, sdk.status, place, facts, where) ?? {
      code: 'STORAGE_IO',
      message: strangeAnswer(sdk, place, facts, where),
    }
  );
}

/** An answer without S3's error document has code and message of the SDK's own making, which tell a user nothing. */
function strangeAnswer(sdk: SdkError, place: S3Place, facts: S3ErrorFacts, where: string): string {
  const what = `${place.operation} of ${where} failed: ${facts.endpoint} answered ${sdk.status}`;
  if (sdk.code !== 'Unknown' && !NOT_FROM_S3.test(sdk.message)) return `${what} ${sdk.code}: ${sdk.message}`;
  return `${what} with something that is not from S3; is it the endpoint of the S3 API?`;
}

const NOT_FROM_S3 = /^(UnknownError$|.*Deserialization error)/s;
const THROTTLED = new Set([
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'RequestThrottled',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'TooManyRequests',
  'XMinioServerNotInitialized',
]);
const BROKEN_BODY = new Set([
  'BadDigest',
  'XAmzContentSHA256Mismatch',
  'XAmzContentChecksumMismatch',
  'InvalidDigest',
]);
const NO_SPACE = new Set([
  'QuotaExceeded',
  'XMinioStorageFull',
  'InsufficientStorage',
  'XMinioAdminBucketQuotaExceeded',
]);
const ACCESS_HINTS: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: 'the server does not know this key id',
  SignatureDoesNotMatch: 'the secret key does not belong to this key id (or a proxy changed the request)',
  InvalidToken: 'the session token is not valid',
  ExpiredToken: 'the session token has expired',
  ExpiredTokenException: 'the session token has expired',
  RequestTimeTooSkewed: "the clock of this machine differs from the server's by more than 15 minutes",
  AccountProblem: 'the account has a problem',
  AllAccessDisabled: 'all access to this bucket is disabled',
};

function byCode(sdk: SdkError, place: S3Place, facts: S3ErrorFacts, where: string): Translation | undefined {
  const { code } = sdk;
  if (code === 'NoSuchBucket')
    return {
      code: 'STORAGE_BUCKET_NOT_FOUND',
      message: `there is no bucket ${facts.bucket} at ${facts.endpoint}; create it first, or check the endpoint`,
    };
  if (code === 'NoSuchUpload')
    return {
      code: 'STORAGE_IO',
      message: `the multipart upload of ${where} is gone: a lifecycle rule or another process aborted it`,
    };
  if (code in ACCESS_HINTS || code.startsWith('KMS')) return accessDenied(sdk, place, facts, where);
  if (THROTTLED.has(code))
    return {
      code: 'STORAGE_THROTTLED',
      message: `${facts.endpoint} asks to slow down (${code})`,
      retryable: true,
      context: { retryAfterSeconds: retryAfter(sdk) },
    };
  if (BROKEN_BODY.has(code))
    return {
      code: 'STORAGE_CHECKSUM_MISMATCH',
      message: `the body of ${where} arrived damaged (${code}); nothing was stored`,
      retryable: true,
    };
  if (NO_SPACE.has(code))
    return {
      code: 'STORAGE_NO_SPACE',
      message: `${facts.endpoint} has no space for ${where}: ${sdk.message}`,
    };
  // MinIO keeps a file system's rule: no name between slashes above 255 bytes.
  if (code === 'KeyTooLongError' || code === 'XMinioInvalidObjectName')
    return {
      code: 'STORAGE_INVALID_KEY',
      message: `${facts.endpoint} takes no key like ${where}: ${sdk.message}`,
    };
  if (code === 'EntityTooLarge')
    return { code: 'STORAGE_TOO_LARGE', message: `${where} is larger than ${facts.endpoint} takes` };
  if (code === 'RequestTimeout')
    return {
      code: 'STORAGE_TIMEOUT',
      message: `${facts.endpoint} waited too long for ${where}`,
      retryable: true,
    };
  if (code === 'IncompleteBody')
    return { code: 'STORAGE_IO', message: `the body of ${where} arrived incomplete`, retryable: true };
  return undefined;
}

function byStatus(
  sdk: SdkError,
  status: number,
  place: S3Place,
  facts: S3ErrorFacts,
  where: string,
): Translation | undefined {
  if (status === 401 || status === 403) return accessDenied(sdk, place, facts, where);
  if (status === 400 && place.operation === 'head')
    return {
      code: 'STORAGE_IO',
      message: `${facts.endpoint} answered 400 to head of ${where}, where no reason can be given; a wrong session token or region looks like this (used: ${facts.credentials})`,
    };
  if (status === 404 && place.operation === 'list')
    return {
      code: 'STORAGE_BUCKET_NOT_FOUND',
      message: `${facts.endpoint} answered 404 to list of ${where}: either there is no bucket ${facts.bucket}, or it is no S3 endpoint`,
    };
  if (status >= 300 && status < 400)
    return {
      code: 'STORAGE_IO',
      message: `${facts.endpoint} redirects ${place.operation} of ${where} (${status}); is it the endpoint of the S3 API, not of a web console?`,
    };
  if (status === 404) return { code: 'STORAGE_NOT_FOUND', message: `there is no object ${where}` };
  if (status === 409)
    return {
      code: 'STORAGE_UNAVAILABLE',
      message: `another write of ${where} was going on at the same time (${sdk.code})`,
      retryable: true,
    };
  if (status === 412)
    return { code: 'STORAGE_PRECONDITION_FAILED', message: `${where} is not the expected version` };
  if (status === 416)
    return { code: 'STORAGE_TRUNCATED', message: `${where} has no bytes in the range asked for` };
  if (status === 501 || status === 405)
    return {
      code: 'STORAGE_UNSUPPORTED',
      message: `${facts.endpoint} does not implement what ${place.operation} of ${where} needs (${sdk.code})`,
    };
  if (status === 507)
    return { code: 'STORAGE_NO_SPACE', message: `${facts.endpoint} has no space for ${where}` };
  if (status === 503 || status === 429)
    return {
      code: 'STORAGE_THROTTLED',
      message: `${facts.endpoint} is busy or not ready (${status} ${sdk.code})`,
      retryable: true,
      context: { retryAfterSeconds: retryAfter(sdk) },
    };
  if (status >= 500)
    return {
      code: 'STORAGE_UNAVAILABLE',
      message: `${facts.endpoint} failed on ${place.operation} of ${where} (${status} ${sdk.code})`,
      retryable: true,
    };
  return undefined;
}

function accessDenied(sdk: SdkError, place: S3Place, facts: S3ErrorFacts, where: string): Translation {
  const missingKeyHint =
    place.operation === 'head' || place.operation === 'get'
      ? ' (without permission to list the bucket, a key that does not exist looks the same)'
      : '';
  const hint =
    ACCESS_HINTS[sdk.code] ??
    `${sdk.code === 'Unknown' ? '' : `${sdk.code}: `}${sdk.message}${missingKeyHint}`;
  return {
    code: 'STORAGE_ACCESS_DENIED',
    message: `${facts.endpoint} refused ${place.operation} of ${where}: ${hint}; used: ${facts.credentials}`,
    context: { credentials: facts.credentials },
  };
}

/** The bucket's region, where the answer says that the request went to another one. */
function regionHint(sdk: SdkError, operation: StorageOperation): string | undefined {
  const misdirected =
    sdk.status === 301 ||
    sdk.status === 307 ||
    sdk.code === 'AuthorizationHeaderMalformed' ||
    sdk.code === 'IllegalLocationConstraintException' ||
    sdk.code === 'PermanentRedirect';
  // HEAD has no error document: 400 with this header is all that it tells.
  const isBareHead = sdk.status === 400 && operation === 'head';
  return misdirected || isBareHead ? (sdk.region ?? sdk.headers['x-amz-bucket-region']) : undefined;
}

const NETWORK_CODES = {
  unreachable: 'STORAGE_UNAVAILABLE',
  broken: 'STORAGE_UNAVAILABLE',
  timeout: 'STORAGE_TIMEOUT',
  certificate: 'STORAGE_ACCESS_DENIED',
} as const satisfies Record<NetworkFailure['kind'], StorageErrorCode>;

function localFailure(error: unknown, sdk: SdkError, facts: S3ErrorFacts, where: string): Translation {
  if (sdk.code === 'CredentialsProviderError' || sdk.code === 'TokenProviderError')
    return {
      code: 'STORAGE_CREDENTIALS_MISSING',
      message: `no usable credentials for ${facts.url} (${facts.credentials}): ${sdk.message}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE`,
    };
  const network = networkFailure(error);
  if (network !== undefined)
    return {
      code: NETWORK_CODES[network.kind],
      message: `${facts.endpoint} ${network.message}`,
      retryable: network.kind !== 'certificate',
      context: { networkCode: network.code, unreachable: network.kind === 'unreachable' },
    };
  return { code: 'STORAGE_IO', message: `the request for ${where} failed: ${sdk.message || sdk.code}` };
}
