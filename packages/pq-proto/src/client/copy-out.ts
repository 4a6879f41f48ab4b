import { BACKEND, COPY } from '../message-types.ts';
import { PqError } from '../pq-error.ts';
import type { ClientWire } from './client-wire.ts';
import { readResult, sendQuery } from './simple-query.ts';

const OPERATION = 'copy out';

export interface CopyCommand {
  readonly sql: string;
  readonly signal: AbortSignal | undefined;
}

/** Payloads of CopyData as the server cut them. What ends early ends the connection. */
export async function* copyOut(
  wire: ClientWire,
  command: CopyCommand,
): AsyncGenerator<Uint8Array, void, void> {
  const { release } = wire.acquire({ operation: OPERATION, signal: command.signal });
  let ended = false;
  try {
    sendQuery(wire, command.sql, OPERATION);
    await wire.expect(BACKEND.CopyOutResponse, OPERATION);
    for (;;) {
      const frame = await wire.read(OPERATION);
      if (frame.type === COPY.Done) break;
      if (frame.type !== COPY.Data) throw wire.unexpected(frame, OPERATION);
      yield frame.body;
    }
    while (await readResult(wire, OPERATION));
    ended = true;
  } catch (error) {
    ended = true;
    throw wire.spoil(error, OPERATION);
  } finally {
    if (!ended) wire.channel.destroy(abandoned());
    release();
  }
}

function abandoned(): PqError {
  return new PqError({
    code: 'PQ_CLOSED',
    operation: OPERATION,
    message: 'the copy was not read to its end; the connection is closed',
  });
}
