import { Worker } from 'node:worker_threads';

/** Jobs work on shared memory and leave little behind; V8 would let the young garbage of each thread grow to 48 MiB. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 8 } as const;

export interface WorkerPoolOptions {
  /** Module of the worker's code. */
  readonly url: URL;
  /** At least 1. */
  readonly count: number;
}

/** What a worker answers: `value`, or what it threw. */
export interface WorkerAnswer<Result> {
  readonly id: number;
  readonly value?: Result;
  readonly failure?: WorkerFailure;
}

/** An error on its way between threads. */
export interface WorkerFailure {
  readonly message: string;
  readonly code?: string;
  /** Which page of the job is at fault. */
  readonly pageIndex?: number;
}

/** A job threw in its thread. */
export class WorkerJobError extends Error {
  override readonly name = 'WorkerJobError';
  readonly failure: WorkerFailure;

  constructor(failure: WorkerFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

interface Job<Result> {
  readonly resolve: (value: Result) => void;
  readonly reject: (error: Error) => void;
}

interface PoolThread<Result> {
  readonly worker: Worker;
  readonly jobs: Map<number, Job<Result>>;
}

/**
 * Worker threads that answer one message per job; they start with the first one. A job goes to the thread with the fewest
 * jobs, so that every thread has its next one waiting. A thread that dies rejects its jobs and all later ones.
 */
export class WorkerPool<Request, Result> implements AsyncDisposable {
  readonly #options: WorkerPoolOptions;
  #threads: readonly PoolThread<Result>[] = [];
  #failure: Error | undefined;
  #nextId = 0;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  /** Starts the threads now, so that they load their code while the first job is still being made ready. */
  warmUp(): void {
    if (this.#failure !== undefined || this.#threads.length > 0) return;
    this.#threads = Array.from({ length: Math.max(1, this.#options.count) }, () => this.#start());
  }

  /** Runs one job. Buffers of the request are shared or copied, but for those in `transfer`, which go over to the thread. */
  run(request: Request, transfer: readonly ArrayBuffer[] = []): Promise<Result> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.warmUp();
    const thread = this.#threads.reduce((best, other) => (other.jobs.size < best.jobs.size ? other : best));
    const id = this.#nextId++;
    return new Promise<Result>((resolve, reject) => {
      thread.jobs.set(id, { resolve, reject });
      thread.worker.ref();
      thread.worker.postMessage({ id, request }, transfer);
    });
  }

  /** Ends the threads; jobs that still run are rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new Error('the worker pool was closed');
    // A late answer would let go of its thread, and a program with nothing else to do end before the thread has ended.
    for (const { worker } of this.#threads) worker.removeAllListeners('message');
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #start(): PoolThread<Result> {
    const thread: PoolThread<Result> = {
      worker: new Worker(this.#options.url, { resourceLimits: WORKER_LIMITS }),
      jobs: new Map(),
    };
    thread.worker.on('message', (answer: WorkerAnswer<Result>) => settle(thread, answer));
    thread.worker.on('error', (error) => this.#fail(thread, error));
    thread.worker.on('exit', (code) =>
      this.#fail(thread, new Error(`a worker thread ended with code ${code}`)),
    );
    // An idle thread does not keep the program alive; one with a job does.
    thread.worker.unref();
    return thread;
  }

  #fail(thread: PoolThread<Result>, cause: unknown): void {
    this.#failure ??= cause instanceof Error ? cause : new Error(String(cause));
    for (const job of thread.jobs.values()) job.reject(this.#failure);
    thread.jobs.clear();
  }
}

function settle<Result>({ jobs, worker }: PoolThread<Result>, answer: WorkerAnswer<Result>): void {
  const job = jobs.get(answer.id);
  jobs.delete(answer.id);
  if (jobs.size === 0) worker.unref();
  if (answer.value !== undefined) job?.resolve(answer.value);
  else job?.reject(new WorkerJobError(answer.failure ?? { message: 'a worker gave no answer' }));
}
