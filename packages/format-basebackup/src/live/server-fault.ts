import { FormatError, type FormatErrorCode } from '@neon-snapshot/format-core';
import { isPqError } from '@neon-snapshot/pq-proto';

/** A failure of the connection as a `FormatError`, its own code in the context; anything else as it is. */
export function serverFault(error: unknown, operation: string): unknown {
  if (!isPqError(error)) return error;
  const sqlState = error.server?.code;
  return new FormatError({
    code: codeOf(error.code),
    operation,
    message:
      sqlState === SLOTS_IN_USE ? `${error.message}; raise max_replication_slots there` : error.message,
    context: { pqCode: error.code, sqlState },
    cause: error,
  });
}

const SLOTS_IN_USE = '53400';

function codeOf(code: string): FormatErrorCode {
  if (code === 'PQ_ABORTED') return 'FORMAT_ABORTED';
  return code === 'PQ_INVALID_ARGUMENT' ? 'FORMAT_OPTION' : 'FORMAT_SERVER';
}

/** Runs something on a connection; its failures are `FormatError`s. */
export async function onServer<T>(operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw serverFault(error, operation);
  }
}
