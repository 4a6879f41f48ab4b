import { Worker } from 'node:worker_threads';
import type { BatchRequest, BatchResult } from './file-batch-worker.ts';

/** The bytes are in shared memory: what V8 would keep of garbage is only paths. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 4 } as const;

interface Waiting {
  readonly resolve: (result: BatchResult) => void;
  readonly reject: (error: unknown) => void;
}

/** The thread that reads and writes many small files; starts with the first batch, and ends when it is disposed. */
export class FileBatchThread implements AsyncDisposable {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #nextId = 0;

  run(request: BatchRequest): Promise<BatchResult> {
    const worker = (this.#worker ??= this.#start());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, request });
    });
  }

  /** Waits for what is under way, so that no file appears afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#waiting.size > 0) await this.#nextAnswer();
    await this.#worker?.terminate();
    this.#worker = undefined;
  }

  #start(): Worker {
    const name = import.meta.url.endsWith('.ts') ? './file-batch-worker.ts' : './file-batch-worker.js';
    const worker = new Worker(new URL(name, import.meta.url), { resourceLimits: WORKER_LIMITS });
    worker.on('message', ({ id, result }: { readonly id: number; readonly result: BatchResult }) => {
      this.#waiting.get(id)?.resolve(result);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref();
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (code) => this.#fail(new Error(`the thread for small files ended with code ${code}`)));
    // An idle thread does not keep the program alive.
    worker.unref();
    return worker;
  }

  #fail(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#worker = undefined;
  }

  #nextAnswer(): Promise<void> {
    return new Promise((resolve) => {
      this.#worker?.once('message', () => resolve());
      this.#worker?.once('exit', () => resolve());
    });
  }
}
