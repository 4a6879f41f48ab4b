import { Worker } from 'node:worker_threads';
import type { FrameJob } from './compress-frame.ts';

/** A thread holds little but the piece in hand; V8 would let its young garbage grow to 48 MiB. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 8 } as const;

/** A frame, and the memory of its piece, given back. */
export interface MadeFrame {
  readonly made: Uint8Array;
  readonly bytes: Uint8Array;
}

interface Waiting {
  resolve(value: MadeFrame): void;
  reject(error: Error): void;
}

interface FrameThread {
  readonly worker: Worker;
  readonly jobs: Map<number, Waiting>;
}

/** Threads that compress pieces of streams; they start with the first piece, and several streams may share them. */
export class FrameThreads implements AsyncDisposable {
  readonly count: number;
  #threads: readonly FrameThread[] = [];
  #failure: Error | undefined;
  #nextId = 0;

  constructor(options: { readonly count: number }) {
    this.count = Math.max(1, options.count);
  }

  /**
   * Takes the memory of the piece, which must be its own, and gives it back with the frame: copies into shared memory cost
   * three to twelve times as much as into plain memory (measured, Node 24.21).
   */
  run(job: FrameJob): Promise<MadeFrame> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#threads.length === 0) {
      this.#threads = Array.from({ length: this.count }, () => this.#start());
    }
    const thread = this.#threads.reduce((best, other) => (other.jobs.size < best.jobs.size ? other : best));
    const id = this.#nextId++;
    return new Promise<MadeFrame>((resolve, reject) => {
      thread.jobs.set(id, { resolve, reject });
      thread.worker.ref();
      thread.worker.postMessage({ id, job }, [job.bytes.buffer as ArrayBuffer]);
    });
  }

  /** Ends the threads; pieces that are still being compressed are rejected. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new Error('the compression threads were closed');
    // A late answer would let go of its thread, and a program with nothing else to do end before the thread has ended.
    for (const { worker } of this.#threads) worker.removeAllListeners('message');
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #start(): FrameThread {
    const name = import.meta.url.endsWith('.ts') ? './frame-worker.ts' : './frame-worker.js';
    const worker = new Worker(new URL(name, import.meta.url), { resourceLimits: WORKER_LIMITS });
    const thread = { worker, jobs: new Map<number, Waiting>() };
    worker.on('message', (answer: FrameAnswer) => settle(thread, answer));
    worker.on('error', (error) => this.#fail(thread, error));
    worker.on('exit', (code) =>
      this.#fail(thread, new Error(`a compression thread ended with code ${code}`)),
    );
    // An idle thread does not keep the program alive; one with a piece does.
    worker.unref();
    return thread;
  }

  #fail({ jobs }: FrameThread, cause: unknown): void {
    this.#failure ??= cause instanceof Error ? cause : new Error(String(cause));
    for (const job of jobs.values()) job.reject(this.#failure);
    jobs.clear();
  }
}

interface FrameAnswer {
  readonly id: number;
  readonly frame?: MadeFrame;
  readonly failure?: string;
}

function settle({ jobs, worker }: FrameThread, { id, frame, failure }: FrameAnswer): void {
  const job = jobs.get(id);
  jobs.delete(id);
  if (jobs.size === 0) worker.unref();
  if (frame !== undefined) job?.resolve(frame);
  else job?.reject(new Error(failure ?? 'a compression thread gave no answer'));
}
