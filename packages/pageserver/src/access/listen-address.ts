import { PageServerError } from '../page-server-error.ts';
import type { JwtVerifier } from './jwt.ts';

/** Where a service listens. */
export interface ListenAddress {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Without it everyone who reaches the port has full access: loopback only. */
  readonly auth?: JwtVerifier | undefined;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/;

export function assertSafeAddress({ host, auth }: ListenAddress): void {
  if (auth !== undefined || LOOPBACK.test(host)) return;
  throw new PageServerError({
    code: 'PAGESERVER_INVALID_ARGUMENT',
    operation: 'listen',
    message: `${host} is reached from other machines and no token is asked for; give a public key for JWTs, or listen on 127.0.0.1`,
    context: { host },
  });
}
