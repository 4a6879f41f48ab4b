import type { ClientWire } from '../client/client-wire.ts';
import { readResult, sendQuery } from '../client/simple-query.ts';
import { BACKEND, COPY } from '../message-types.ts';

const OPERATION = 'upload manifest';
const PIECE_BYTES = 64 * 1024;

export interface UploadManifestOptions {
  readonly manifest: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

/** Gives the server the manifest of the backup that the next one is incremental to (17 and newer). */
export async function uploadManifest(wire: ClientWire, options: UploadManifestOptions): Promise<void> {
  const { manifest, signal } = options;
  await wire.run({ operation: OPERATION, signal }, async () => {
    sendQuery(wire, 'UPLOAD_MANIFEST', OPERATION);
    await wire.expect(BACKEND.CopyInResponse, OPERATION);
    const chunks = manifest instanceof Uint8Array ? [manifest] : manifest;
    for await (const chunk of chunks) {
      for (let offset = 0; offset < chunk.length; offset += PIECE_BYTES)
        wire.channel.write(COPY.Data, chunk.subarray(offset, offset + PIECE_BYTES));
      await wire.channel.drained();
    }
    wire.channel.write(COPY.Done);
    wire.channel.flush();
    while (await readResult(wire, OPERATION));
  });
}
