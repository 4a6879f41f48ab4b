import type { S3Client } from '@aws-sdk/client-s3';
import type { StorageError } from '@neon-snapshot/storage-core';
import { type S3ErrorFacts, type S3Place, translateError } from './errors.ts';
import { type RetryClock, type RetryConfig, retryDelayMs } from './retry.ts';
import { isClockCorrected } from './sdk-error.ts';

/** What earlier attempts of a request may have done. */
export interface AttemptHistory {
  /** True after a failure that does not say whether the server acted: its answer may only have been lost. */
  mayHaveActed: boolean;
}

export interface Requester {
  /** Runs one request with retries. Rejects with a StorageError. */
  send<Output>(
    place: S3Place,
    request: (client: S3Client, options: { readonly abortSignal?: AbortSignal }) => Promise<Output>,
    history?: AttemptHistory,
  ): Promise<Output>;
  translate(error: unknown, place: S3Place): StorageError;
  /** Waits before repeat number `repeat` after that failure; rejects with the failure when there is no repeat. */
  pause(repeat: number, error: StorageError, place: S3Place, retriesMax?: number): Promise<void>;
  close(): void;
}

export function createRequester(options: {
  readonly client: S3Client;
  readonly facts: S3ErrorFacts;
  readonly retry: RetryConfig;
  readonly clock: RetryClock;
}): Requester {
  const { client, facts, retry, clock } = options;
  let hasAnswered = false;
  const translate: Requester['translate'] = (error, place) => {
    const translated = translateError(error, place, facts);
    hasAnswered ||= translated.context.status !== undefined;
    return translated;
  };
  const pause: Requester['pause'] = async (repeat, error, place, retriesMax = retry.retriesMax) => {
    const state = { repeat, hasAnswered, random: () => clock.random() };
    const delayMs = retryDelayMs(error, { ...retry, retriesMax }, state);
    if (delayMs === undefined) throw error;
    try {
      await clock.sleep(delayMs, place.signal);
    } catch (cause) {
      throw translate(cause, place);
    }
  };
  return {
    translate,
    pause,
    close: () => client.destroy(),
    async send(place, request, history) {
      const callOptions = place.signal === undefined ? {} : { abortSignal: place.signal };
      let isCorrected = false;
      for (let attempt = 1; ; attempt++) {
        try {
          if (place.signal?.aborted) throw place.signal.reason;
          const output = await request(client, callOptions);
          hasAnswered = true;
          return output;
        } catch (cause) {
          if (!isCorrected && isClockCorrected(cause)) {
            isCorrected = true;
            continue;
          }
          const error = translate(cause, place);
          if (history !== undefined && mayHaveActed(error)) history.mayHaveActed = true;
          await pause(attempt, error, place);
        }
      }
    },
  };
}

/** A throttled, refused or unreached request was not carried out; one that broke or timed out may have been. */
function mayHaveActed(error: StorageError): boolean {
  if (error.context.unreachable === true) return false;
  return ['STORAGE_UNAVAILABLE', 'STORAGE_TIMEOUT', 'STORAGE_IO'].includes(error.code);
}
