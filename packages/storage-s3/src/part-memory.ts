/** Buffers and slots of the parts in flight, shared by all puts of one storage. */
export interface PartMemory {
  readonly partSizeBytes: number;
  /** Waits for a free slot and runs the upload in it. */
  upload<Result>(work: () => Promise<Result>): Promise<Result>;
  /** A buffer of at least that size, with anything in it. */
  take(sizeBytes: number): Buffer;
  /** Gives a buffer back that nobody reads any more. */
  give(buffer: Buffer): void;
}

/**
 * `slots` parts are in flight at most. Each put fills one further buffer. Buffers of the base part size are reused, for
 * a fresh one costs a page fault every 4 KiB.
 */
export function createPartMemory(options: {
  readonly partSizeBytes: number;
  readonly slots: number;
}): PartMemory {
  const { partSizeBytes, slots } = options;
  const free: Buffer[] = [];
  const waiting: (() => void)[] = [];
  let inFlight = 0;
  return {
    partSizeBytes,
    async upload(work) {
      if (inFlight < slots) inFlight++;
      // The slot of the one that ends goes over to the one that wakes up.
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) inFlight--;
        else next();
      }
    },
    take: (sizeBytes) =>
      (sizeBytes === partSizeBytes ? free.pop() : undefined) ?? Buffer.allocUnsafeSlow(sizeBytes),
    give(buffer) {
      if (buffer.byteLength === partSizeBytes && free.length < slots) free.push(buffer);
    },
  };
}
