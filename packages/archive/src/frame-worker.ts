import { parentPort } from 'node:worker_threads';
import { compressFrame, type FrameJob } from './compress-frame.ts';

parentPort?.on('message', ({ id, job }: { readonly id: number; readonly job: FrameJob }) => {
  compressFrame(job).then(
    (made) => {
      const { bytes } = job;
      const memory = [made.buffer as ArrayBuffer, bytes.buffer as ArrayBuffer];
      parentPort?.postMessage({ id, frame: { made, bytes } }, memory);
    },
    (error: unknown) => parentPort?.postMessage({ id, failure: String(error) }),
  );
});
