import { BodyWriter } from '../body-writer.ts';
import type { FrameChannel } from '../frame-channel.ts';
import { BACKEND, COPY } from '../message-types.ts';
import { isPqError, type PqServerFields } from '../pq-error.ts';
import { encodeDataRow, encodeRowDescription } from '../row-codec.ts';
import { encodeServerFields } from '../server-fields.ts';
import { CopyBothSession } from './copy-both-session.ts';
import type { PqReply } from './pq-reply.ts';

/** Overall format text, no columns: what Postgres' walsender and Neon's services send. */
const COPY_RESPONSE = Buffer.from([0, 0, 0]);
const IDLE = Buffer.from('I');

/** Sends a handler's answer up to CommandComplete. */
export async function sendReply(channel: FrameChannel, reply: PqReply, signal: AbortSignal): Promise<void> {
  switch (reply.kind) {
    case 'command':
      return sendCommandComplete(channel, reply.tag);
    case 'rows': {
      channel.write(BACKEND.RowDescription, encodeRowDescription(reply.columns));
      let count = 0;
      for await (const row of reply.rows) {
        channel.write(BACKEND.DataRow, encodeDataRow(row));
        count += 1;
        await channel.drained();
        signal.throwIfAborted();
      }
      return sendCommandComplete(channel, reply.tag ?? `SELECT ${count}`);
    }
    case 'copy-out':
      channel.write(BACKEND.CopyOutResponse, COPY_RESPONSE);
      for await (const chunk of reply.data) {
        channel.write(COPY.Data, chunk);
        await channel.drained();
        signal.throwIfAborted();
      }
      channel.write(COPY.Done);
      return sendCommandComplete(channel, reply.tag ?? 'COPY');
    case 'copy-both': {
      const session = new CopyBothSession({ channel, signal });
      channel.write(BACKEND.CopyBothResponse, COPY_RESPONSE);
      channel.flush();
      await reply.run(session);
      await session.finish();
      return sendCommandComplete(channel, reply.tag ?? 'COPY');
    }
  }
}

function sendCommandComplete(channel: FrameChannel, tag: string): void {
  channel.write(BACKEND.CommandComplete, new BodyWriter().cstring(tag).finish());
}

export function sendReady(channel: FrameChannel): void {
  channel.write(BACKEND.ReadyForQuery, IDLE);
  channel.flush();
}

export function sendError(channel: FrameChannel, fields: PqServerFields): void {
  channel.write(BACKEND.ErrorResponse, encodeServerFields(fields));
}

/** What a client is told: the fields that an error brings along, else its message as an internal error. */
export function fieldsOf(error: unknown, severity: 'ERROR' | 'FATAL', sqlState: string): PqServerFields {
  if (isPqError(error) && error.server) return { ...error.server, severity };
  if (isPqError(error, 'PQ_PROTOCOL') || isPqError(error, 'PQ_TOO_LARGE'))
    return { severity, code: '08P01', message: error.message };
  return { severity, code: sqlState, message: error instanceof Error ? error.message : String(error) };
}
