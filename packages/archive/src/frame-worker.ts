import { parentPort } from 'node:worker_threads';
import { compressFrame, type FrameJob } from './compress-frame.ts';

parentPort?.on('message', ({ id, job }: { readonly id: number; readonly job: FrameJob }) => {
  compressFrame(job).then(
    (value) => parentPort?.postMessage({ id, value }, [value.buffer as ArrayBuffer]),
    (error: unknown) => parentPort?.postMessage({ id, failure: String(error) }),
  );
});
