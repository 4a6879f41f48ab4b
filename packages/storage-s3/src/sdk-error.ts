/** The parts of an SDK error that are looked at. */
export interface SdkError {
  readonly code: string;
  readonly status: number | undefined;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly region: string | undefined;
  readonly requestId: string | undefined;
}

/** Reads an unknown value as an SDK error: every member is checked, none is trusted. */
export function readSdkError(error: unknown): SdkError {
  const member = (target: unknown, name: string): unknown =>
    typeof target === 'object' && target !== null ? Reflect.get(target, name) : undefined;
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const metadata = member(error, '$metadata');
  const response = member(error, '$response');
  const status = member(metadata, 'httpStatusCode') ?? member(response, 'statusCode');
  const headers = member(response, 'headers');
  return {
    code: text(member(error, 'name')) ?? text(member(error, 'Code')) ?? 'Unknown',
    status: typeof status === 'number' ? status : undefined,
    message: text(member(error, 'message')) ?? '',
    headers: isTextRecord(headers) ? headers : {},
    region: text(member(error, 'Region')),
    requestId: text(member(metadata, 'requestId')),
  };
}

function isTextRecord(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((each) => typeof each === 'string')
  );
}

/** `Retry-After` in seconds. */
export function retryAfter(sdk: SdkError): number | undefined {
  const seconds = Number(sdk.headers['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined;
}

/**
 * An SDK error without its `$response`, which holds the request with its signature and session token, and a socket.
 */
export function withoutRequest(error: unknown, redact: (text: string) => string): unknown {
  if (!(error instanceof Error) || !('$response' in error)) return error;
  const slim = new Error(redact(error.message));
  slim.name = error.name;
  if (error.stack !== undefined) slim.stack = redact(error.stack);
  return slim;
}

/** True when the answer showed that this machine's clock is wrong, and the SDK signs by the server's from now on. */
export function isClockCorrected(error: unknown): boolean {
  if (!(error instanceof Error) || !('$metadata' in error)) return false;
  const { $metadata: metadata } = error;
  return (
    typeof metadata === 'object' && metadata !== null && Reflect.get(metadata, 'clockSkewCorrected') === true
  );
}
