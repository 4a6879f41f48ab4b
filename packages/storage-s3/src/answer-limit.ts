import { Transform } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';

/** A listing of 1,000 keys of 1,024 bytes, each byte written as `%XX` and each object with its owner, stays below 5 MB. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** Ends an answer that the SDK would read into memory whole (all but the bodies of objects) at {@link ANSWER_BYTES_MAX}. */
export function addAnswerLimit(client: S3Client): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args);
      const { response } = result;
      if (
        isStreamedAnswer(response) &&
        !(context.commandName === 'GetObjectCommand' && response.statusCode < 300)
      )
        response.body = limited(response.body);
      return result;
    },
    // Last of its step: next to the socket, before anything is read.
    { step: 'deserialize', priority: 'low', name: 'neonSnapshotAnswerLimit' },
  );
}

interface StreamedAnswer {
  readonly statusCode: number;
  body: NodeJS.ReadableStream;
}

function isStreamedAnswer(response: unknown): response is StreamedAnswer {
  return (
    typeof response === 'object' &&
    response !== null &&
    'statusCode' in response &&
    typeof response.statusCode === 'number' &&
    'body' in response &&
    typeof response.body === 'object' &&
    response.body !== null &&
    'pipe' in response.body
  );
}

function limited(body: NodeJS.ReadableStream): NodeJS.ReadableStream {
  let bytes = 0;
  const limit = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.byteLength;
      if (bytes <= ANSWER_BYTES_MAX) done(null, chunk);
      else
        done(
          new Error(
            `an answer of more than ${ANSWER_BYTES_MAX} bytes, which S3 never gives; is it an S3 endpoint?`,
          ),
        );
    },
  });
  body.on('error', (error) => limit.destroy(error));
  limit.on('error', () => 'destroy' in body && typeof body.destroy === 'function' && body.destroy());
  return body.pipe(limit);
}
