export interface NetworkFailure {
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
};
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE', 'EPROTO']);
const TIMEOUTS = new Set(['ETIMEDOUT', 'ESOCKETTIMEDOUT', 'TimeoutError']);
const CERTIFICATE =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*|CERT_.*|ERR_TLS_.*|HOSTNAME_MISMATCH)$/;

/** What went wrong on the way to the server; undefined where it was something else. */
export function networkFailure(error: unknown): NetworkFailure | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = codeOf(error);
  const unreachable = UNREACHABLE[code];
  if (unreachable !== undefined) return { kind: 'unreachable', code, message: unreachable };
  if (TIMEOUTS.has(code) || error.name === 'TimeoutError')
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
      message:
        code === 'EPROTO'
          ? 'does not speak TLS; is it an http:// endpoint?'
          : `broke the connection (${code || error.message})`,
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
