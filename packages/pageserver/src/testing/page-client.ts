import type { Lsn, RelTag } from '@neon-snapshot/postgres';
import type { CopyBoth } from '@neon-snapshot/pq-proto';

/** A request by hand, so that the encoding under test is not its own witness. */
export interface PageRequest {
  readonly tag: 0 | 1 | 2 | 3 | 4;
  readonly body: Buffer;
  readonly requestLsn: Lsn | bigint;
  readonly notModifiedSince: Lsn | bigint;
  /** Version 3 only. */
  readonly id?: bigint;
}

export function encodeRequest(request: PageRequest): Buffer {
  const head = Buffer.alloc(1 + (request.id === undefined ? 0 : 8) + 16);
  head.writeUInt8(request.tag);
  if (request.id !== undefined) head.writeBigUInt64BE(request.id, 1);
  head.writeBigUInt64BE(request.requestLsn, head.length - 16);
  head.writeBigUInt64BE(request.notModifiedSince, head.length - 8);
  return Buffer.concat([head, request.body]);
}

export function relBody({ spcNode, dbNode, relNode, forkNum }: RelTag, blockNumber?: number): Buffer {
  const body = Buffer.alloc(blockNumber === undefined ? 13 : 17);
  body.writeUInt32BE(spcNode, 0);
  body.writeUInt32BE(dbNode, 4);
  body.writeUInt32BE(relNode, 8);
  body.writeUInt8(forkNum, 12);
  if (blockNumber !== undefined) body.writeUInt32BE(blockNumber, 13);
  return body;
}

export async function readAnswer(stream: CopyBoth): Promise<Buffer> {
  const answer = await stream.read();
  if (answer === undefined) throw new Error('the stream has ended');
  return Buffer.from(answer);
}

/** Sends all and gives the answers in order. */
export async function exchange(stream: CopyBoth, requests: readonly Buffer[]): Promise<Buffer[]> {
  const IN_FLIGHT = 500;
  const answers: Buffer[] = [];
  for (let start = 0; start < requests.length; start += IN_FLIGHT) {
    const part = requests.slice(start, start + IN_FLIGHT);
    for (const request of part) stream.write(request);
    for (const _request of part) answers.push(await readAnswer(stream));
  }
  return answers;
}
