import { BodyReader } from '../body-reader.ts';
import { BodyWriter } from '../body-writer.ts';
import type { FrameChannel } from '../frame-channel.ts';
import type { Frame } from '../frame-parser.ts';
import { BACKEND, FRONTEND } from '../message-types.ts';
import { PqError } from '../pq-error.ts';

/** Statements and portals that one connection may keep. */
const NAMES_MAX = 64;

/**
 * As much of the extended protocol as drivers need to send a command without parameters and read a COPY: statements are
 * kept as text and described as giving no rows. Neon's compute fetches its base backup like this.
 */
export class ExtendedQuery {
  readonly #channel: FrameChannel;
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, string>();

  constructor(channel: FrameChannel) {
    this.#channel = channel;
  }

  /** Answers one message. Gives the text to run where it was Execute. Throws with `server` fields. */
  take(frame: Frame): string | undefined {
    const reader = new BodyReader(frame.body, 'extended query');
    switch (frame.type) {
      case FRONTEND.Parse:
        keep(this.#statements, reader.cstring(), reader.cstring());
        this.#channel.write(BACKEND.ParseComplete);
        return undefined;
      case FRONTEND.Bind:
        this.#bind(reader);
        return undefined;
      case FRONTEND.Describe:
        this.#describe(reader);
        return undefined;
      case FRONTEND.Close:
        (isStatement(reader) ? this.#statements : this.#portals).delete(reader.cstring());
        this.#channel.write(BACKEND.CloseComplete);
        return undefined;
      default:
        return find(this.#portals, reader.cstring(), '34000', 'portal');
    }
  }

  #bind(reader: BodyReader): void {
    const portal = reader.cstring();
    const sql = find(this.#statements, reader.cstring(), '26000', 'prepared statement');
    reader.bytes(2 * reader.uint16());
    if (reader.uint16() !== 0)
      throw failure('0A000', 'parameters are not supported; put the values into the command');
    keep(this.#portals, portal, sql);
    this.#channel.write(BACKEND.BindComplete);
  }

  #describe(reader: BodyReader): void {
    const statement = isStatement(reader);
    const name = reader.cstring();
    if (statement) {
      find(this.#statements, name, '26000', 'prepared statement');
      this.#channel.write(BACKEND.ParameterDescription, new BodyWriter().int16(0).finish());
    } else find(this.#portals, name, '34000', 'portal');
    this.#channel.write(BACKEND.NoData);
  }
}

function isStatement(reader: BodyReader): boolean {
  return reader.uint8() === 'S'.charCodeAt(0);
}

function keep(map: Map<string, string>, name: string, sql: string): void {
  if (!map.has(name) && map.size >= NAMES_MAX)
    throw failure('54000', `more than ${NAMES_MAX} statements or portals`);
  map.set(name, sql);
}

function find(map: ReadonlyMap<string, string>, name: string, sqlState: string, what: string): string {
  const sql = map.get(name);
  if (sql === undefined) throw failure(sqlState, `there is no ${what} of that name`);
  return sql;
}

function failure(sqlState: string, message: string): PqError {
  return new PqError({
    code: 'PQ_UNSUPPORTED',
    operation: 'extended query',
    message,
    server: { severity: 'ERROR', code: sqlState, message },
  });
}
