import { parentPort } from 'node:worker_threads';
import { isNeonLayerError } from '@neon-snapshot/neon-layer';
import { PageFault } from './page-fault.ts';
import type { WorkerFailure } from './worker-pool.ts';

/** What a job gives back; buffers named in `transfer` belong to the main thread from then on. */
export interface JobResult<Result> {
  readonly value: Result;
  readonly transfer?: readonly ArrayBuffer[];
}

/** Serves jobs of a `WorkerPool` in this thread with a synchronous function. */
export function serveJobs<Request, Result>(handle: (request: Request) => JobResult<Result>): void {
  const port = parentPort;
  if (port === null) throw new Error('this module runs in a worker thread only');
  port.on('message', ({ id, request }: { readonly id: number; readonly request: Request }) => {
    try {
      const { value, transfer = [] } = handle(request);
      port.postMessage({ id, value }, transfer);
    } catch (error) {
      port.postMessage({ id, failure: toFailure(error) });
    }
  });
}

/** A fault of the input keeps its code and context; what has no code is a bug. */
function toFailure(error: unknown): WorkerFailure {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message } = error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const pageIndex = pageIndexOf(error);
  return {
    message,
    ...(code === undefined ? {} : { code }),
    ...(pageIndex === undefined ? {} : { pageIndex }),
  };
}

function pageIndexOf(error: Error): number | undefined {
  if (error instanceof PageFault) return error.pageIndex;
  const index = isNeonLayerError(error) ? error.context.pageIndex : undefined;
  return typeof index === 'number' ? index : undefined;
}
