import type { S3Operation } from './route.ts';

/** What goes wrong. */
export type S3FaultEffect =
  /** The operation is not done and the client gets this error, after its body was read unless `readBody` is false. */
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly code: string;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
      readonly readBody?: boolean;
    }
  /** The connection is reset before the operation is done, or after it was done but before the client hears so. */
  | { readonly kind: 'reset'; readonly when: 'before' | 'after-commit' }
  /** The reply's body stops after so many bytes: by a reset, by an orderly end, or by silence. */
  | { readonly kind: 'cut'; readonly afterBytes: number; readonly how: 'reset' | 'end' | 'stall' }
  /** One byte of the reply's body is flipped. */
  | { readonly kind: 'flip'; readonly atByte: number }
  /** The operation begins that much later. */
  | { readonly kind: 'delay'; readonly delayMs: number };

export interface S3Fault {
  /** Which operations it hits; any without it. */
  readonly operation?: S3Operation;
  /** Only requests for this key. */
  readonly key?: string;
  /** So many matching requests pass first; 0 without it. */
  readonly skip?: number;
  /** How many requests it hits; 1 without it. */
  readonly times?: number;
  readonly effect: S3FaultEffect;
}

export interface S3FaultHandle {
  /** Requests hit so far. */
  readonly hits: number;
  remove(): void;
}

interface ArmedFault {
  readonly fault: S3Fault;
  skip: number;
  left: number;
  hits: number;
}

/** The faults that are armed, in the order in which they were injected; a request is hit by at most one. */
export class FaultPlan {
  readonly #armed = new Set<ArmedFault>();

  inject(fault: S3Fault): S3FaultHandle {
    const armed: ArmedFault = { fault, skip: fault.skip ?? 0, left: fault.times ?? 1, hits: 0 };
    this.#armed.add(armed);
    return {
      get hits() {
        return armed.hits;
      },
      remove: () => void this.#armed.delete(armed),
    };
  }

  take(operation: S3Operation | undefined, key: string): S3FaultEffect | undefined {
    for (const armed of this.#armed) {
      const { fault } = armed;
      if (fault.operation !== undefined && fault.operation !== operation) continue;
      if (fault.key !== undefined && fault.key !== key) continue;
      if (armed.skip > 0) {
        armed.skip--;
        continue;
      }
      armed.hits++;
      if (--armed.left <= 0) this.#armed.delete(armed);
      return fault.effect;
    }
    return undefined;
  }
}
