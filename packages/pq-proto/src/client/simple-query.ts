import { BodyReader } from '../body-reader.ts';
import type { Frame } from '../frame-parser.ts';
import { BACKEND, COPY, FRONTEND } from '../message-types.ts';
import { PqError } from '../pq-error.ts';
import { decodeDataRow, decodeRowDescription, type PqColumn } from '../row-codec.ts';
import type { ClientWire, Command } from './client-wire.ts';

/** Values of a result that are held at most; what is longer is no business of this client. */
const RESULT_BYTES_MAX = 64 * 1024 * 1024;

/** One result set of a query, with every value in text format. */
export interface PqResult {
  readonly columns: readonly PqColumn[];
  /** Values in the order of the columns; null is SQL's. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** `SELECT 1`, `INSERT 0 2`, …. */
  readonly commandTag: string;
}

export interface RawResult {
  readonly columns: readonly PqColumn[];
  readonly rows: readonly (readonly (Buffer | null)[])[];
  readonly commandTag: string;
}

export function sendQuery(wire: ClientWire, sql: string, operation: string): void {
  if (sql.includes('\0'))
    throw new PqError({ code: 'PQ_INVALID_ARGUMENT', operation, message: 'a query holds a NUL byte' });
  wire.channel.write(FRONTEND.Query, Buffer.from(`${sql}\0`, 'utf8'));
  wire.channel.flush();
}

/** Sends a query and reads its result sets up to ReadyForQuery. */
export async function simpleQuery(wire: ClientWire, sql: string, command: Command): Promise<RawResult[]> {
  return await wire.run(command, async () => {
    sendQuery(wire, sql, command.operation);
    const results: RawResult[] = [];
    for (;;) {
      const result = await readResult(wire, command.operation);
      if (result === undefined) return results;
      results.push(result);
    }
  });
}

/** One result set (T D* C, or C alone), or undefined at ReadyForQuery. `first` is a frame of it already read. COPY is refused. */
export async function readResult(
  wire: ClientWire,
  operation: string,
  first?: Frame,
): Promise<RawResult | undefined> {
  let columns: readonly PqColumn[] = [];
  const rows: (Buffer | null)[][] = [];
  let bytes = 0;
  for (let frame = first ?? (await wire.read(operation)); ; frame = await wire.read(operation)) {
    switch (frame.type) {
      case BACKEND.RowDescription:
        columns = decodeRowDescription(frame.body);
        break;
      case BACKEND.DataRow:
        bytes += frame.body.length;
        if (bytes > RESULT_BYTES_MAX) throw tooLarge(wire, operation);
        rows.push(decodeDataRow(frame.body, columns.length));
        break;
      case BACKEND.CommandComplete:
        return { columns, rows, commandTag: new BodyReader(frame.body, 'CommandComplete').cstring() };
      case BACKEND.EmptyQueryResponse:
        return { columns, rows, commandTag: '' };
      case BACKEND.ReadyForQuery:
        return undefined;
      case BACKEND.CopyInResponse:
        wire.channel.write(FRONTEND.CopyFail, Buffer.from('COPY is not supported here\0'));
        break;
      case BACKEND.CopyOutResponse:
      case COPY.Data:
      case COPY.Done:
        // Read over; the client has nowhere to put it.
        break;
      default:
        throw wire.unexpected(frame, operation);
    }
  }
}

export function textResult(result: RawResult): PqResult {
  const text = (value: Buffer | null) => (value === null ? null : value.toString('utf8'));
  return { ...result, rows: result.rows.map((row) => row.map(text)) };
}

function tooLarge(wire: ClientWire, operation: string): PqError {
  const error = new PqError({
    code: 'PQ_TOO_LARGE',
    operation,
    message: `the result is larger than ${RESULT_BYTES_MAX} bytes; ask for less`,
  });
  wire.channel.destroy(error);
  return error;
}
