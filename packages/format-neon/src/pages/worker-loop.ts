import { parentPort } from 'node:worker_threads';

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
      port.postMessage({ id, failure: error instanceof Error ? error.message : String(error) });
    }
  });
}
