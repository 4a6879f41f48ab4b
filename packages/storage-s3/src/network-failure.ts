export interface NetworkFailure {
  /** `unreachable`: no request can have arrived. */
  readonly kind: 'unreachable' | 'broken' | 'timeout' | 'certificate';
  readonly code: string;
  /** Goes on after the endpoint's name. */
  readonly message: string;
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ENOTFOUND: 'has a host name that does not resolve; check the endpoint and the region',
  EAI_AGAIN: 'has a host name that could not be resolved just now (DNS)',
  ECONNREFUSED: 'refuses the connection: nothing listens there',
  EHOSTUNREACH: 'is not reachable from here (no route to the host)',
  ENETUNREACH: 'is not reachable from here (no route to the network)',
  EADDRNOTAVAIL: 'is not reachable from here (no local address)',
  EPROTO: 'does not speak TLS; is it an http:// endpoint?',
};
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE']);
const TIMEOUTS = new Set(['ETIMEDOUT', 'ESOCKETTIMEDOUT', 'TimeoutError']);
/** The SDK's words for a connection that was not established in time, which has no code of its own. */
const NO_CONNECTION = /did not establish a connection|without establishing a connection/;
const CERTIFICATE =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*|CERT_.*|ERR_TLS_.*|HOSTNAME_MISMATCH)$/;

/** What went wrong on the way to the server; undefined where it was something else. */
export function networkFailure(error: unknown): NetworkFailure | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = codeOf(error);
  const unreachable = UNREACHABLE[code];
  if (unreachable !== undefined) return { kind: 'unreachable', code, message: unreachable };
  if (NO_CONNECTION.test(error.message))
    return { kind: 'unreachable', code, message: 'did not accept a connection in time; check host and port' };
  if (code.startsWith('HPE_'))
    return {
      kind: 'unreachable',
      code,
      message: `does not speak HTTP (${error.message}); check the port, and whether it is an https:// endpoint`,
    };
  // The SDK names a reset connection a TimeoutError too: the code goes first.
  if (TIMEOUTS.has(code) || (error.name === 'TimeoutError' && !BROKEN.has(code)))
    return { kind: 'timeout', code, message: `did not answer in time: ${error.message}` };
  if (CERTIFICATE.test(code))
    return {
      kind: 'certificate',
      code,
      message: `shows a certificate that is not trusted here (${code}); give its authority by AWS_CA_BUNDLE or ca_file`,
    };
  if (BROKEN.has(code) || /socket hang up|aborted/.test(error.message))
    return {
      kind: 'broken',
      code,
      message: `broke the connection (${code || error.message})`,
    };
  return undefined;
}

/** The code of the error itself, or of the first of several attempts that it sums up. */
function codeOf(error: Error): string {
  if ('code' in error && typeof error.code === 'string') return error.code;
  if (error instanceof AggregateError) {
    const [first] = error.errors;
    if (first instanceof Error) return codeOf(first);
  }
  return error.cause instanceof Error ? codeOf(error.cause) : '';
}
