import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { BlobRange, S3Reply } from './call.ts';
import type { S3FaultEffect } from './faults.ts';
import { errorDocument, S3Error } from './s3-error.ts';

/** Sends a reply, with the fault that was drawn for it. */
export async function sendReply(
  response: ServerResponse,
  reply: S3Reply,
  options: { readonly fault: S3FaultEffect | undefined; readonly date: Date },
): Promise<void> {
  const { fault } = options;
  const { body } = reply;
  const headers: Record<string, string> = {
    'x-amz-request-id': randomUUID(),
    date: options.date.toUTCString(),
    ...reply.headers,
  };
  if (typeof body === 'string') headers['content-type'] = 'application/xml';
  if (body !== undefined) headers['content-length'] = String(lengthOf(body));
  response.writeHead(reply.status, headers);
  if (body === undefined) {
    response.end();
    return;
  }
  let sent = 0;
  for await (const bytes of chunksOf(body)) {
    const chunk = fault?.kind === 'flip' ? flipByte(bytes, fault.atByte - sent) : bytes;
    const allowed = fault?.kind === 'cut' ? fault.afterBytes - sent : chunk.length;
    if (!response.write(chunk.subarray(0, Math.max(allowed, 0)))) await untilDrained(response);
    sent += chunk.length;
    if (fault?.kind === 'cut' && allowed < chunk.length) {
      cut(response, fault.how);
      return;
    }
    if (response.destroyed) return;
  }
  response.end();
}

/** Until more can be written, or nobody takes it any more; leaves no listener behind. */
async function untilDrained(response: ServerResponse): Promise<void> {
  const first = new AbortController();
  const { signal } = first;
  try {
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
  } finally {
    first.abort();
  }
}

/** The reply that tells the client of a failure; anything but an S3Error is a fault of this server. */
export function errorReply(error: unknown, isHead: boolean): S3Reply {
  const failure =
    error instanceof S3Error
      ? error
      : new S3Error(500, 'InternalError', `The test server failed: ${String(error)}`);
  const hasBody = !isHead && failure.status !== 304;
  return {
    status: failure.status,
    headers: failure.headers,
    ...(hasBody ? { body: errorDocument(failure) } : {}),
  };
}

function lengthOf(body: string | BlobRange): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.end - body.start;
}

async function* chunksOf(body: string | BlobRange): AsyncIterable<Uint8Array> {
  if (typeof body === 'string') yield Buffer.from(body);
  else yield* body.blob.read(body.start, body.end);
}

function flipByte(bytes: Uint8Array, index: number): Uint8Array {
  if (index < 0 || index >= bytes.length) return bytes;
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(index) ^ 0x01, index);
  return copy;
}

function cut(response: ServerResponse, how: 'reset' | 'end' | 'stall'): void {
  if (how === 'reset') response.socket?.resetAndDestroy();
  if (how === 'end') response.socket?.end();
}
