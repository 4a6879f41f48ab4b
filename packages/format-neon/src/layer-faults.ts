import { FormatError, type FormatErrorCode } from '@neon-snapshot/format-core';
import { isNeonLayerError, type NeonLayerErrorCode } from '@neon-snapshot/neon-layer';
import { isTimelineError, type TimelineErrorCode } from '@neon-snapshot/neon-timeline';
import { isPostgresFormatError, type PostgresFormatErrorCode } from '@neon-snapshot/postgres';
import { isRedoError, type RedoErrorCode } from '@neon-snapshot/wal-redo';

const CODES: Partial<Record<NeonLayerErrorCode, FormatErrorCode>> = {
  NEON_LAYER_NEEDS_REDO: 'FORMAT_NEEDS_REDO',
  NEON_LAYER_LSN_OUT_OF_RANGE: 'FORMAT_LSN_OUT_OF_RANGE',
  NEON_LAYER_NOT_FOUND: 'FORMAT_NOT_FOUND',
  NEON_LAYER_TRUNCATED: 'FORMAT_TRUNCATED',
  NEON_LAYER_UNKNOWN_VERSION: 'FORMAT_UNKNOWN_VERSION',
  NEON_LAYER_UNSUPPORTED: 'FORMAT_UNSUPPORTED',
};

const POSTGRES_CODES: Partial<Record<PostgresFormatErrorCode, FormatErrorCode>> = {
  POSTGRES_CHECKSUM: 'FORMAT_CHECKSUM',
  POSTGRES_TRUNCATED: 'FORMAT_TRUNCATED',
  POSTGRES_UNSUPPORTED_VERSION: 'FORMAT_UNKNOWN_VERSION',
};

const TIMELINE_CODES: Partial<Record<TimelineErrorCode, FormatErrorCode>> = {
  TIMELINE_TOO_LARGE: 'FORMAT_UNSUPPORTED',
  TIMELINE_WAL_TRUNCATED: 'FORMAT_TRUNCATED',
};

const REDO_CODES: Readonly<Record<RedoErrorCode, FormatErrorCode>> = {
  REDO_UNSUPPORTED_RECORD: 'FORMAT_NEEDS_REDO',
  REDO_NO_BASE: 'FORMAT_TRUNCATED',
  REDO_INVALID_RECORD: 'FORMAT_INVALID',
  REDO_INVALID_PAGE: 'FORMAT_INVALID',
  REDO_FOREIGN_RECORD: 'FORMAT_INVALID',
  REDO_OPTION: 'FORMAT_UNSUPPORTED',
  REDO_PROTOCOL: 'FORMAT_INVALID',
};

/** What a code of redo is here; undefined for any other code. A record that redo does not know is `FORMAT_NEEDS_REDO`. */
export function codeOfRedo(code: string | undefined): FormatErrorCode | undefined {
  return Object.entries(REDO_CODES).find(([name]) => name === code)?.[1];
}

/** A fault of layers, index, raw WAL or Postgres' own structures as a `FormatError`; anything else as it is. */
function toFormatError(error: unknown): unknown {
  if (isNeonLayerError(error)) {
    const { operation, message, context } = error;
    const code = CODES[error.code] ?? 'FORMAT_INVALID';
    return new FormatError({ code, operation: `${operation} layers`, message, context, cause: error });
  }
  if (isPostgresFormatError(error)) {
    const code = POSTGRES_CODES[error.code] ?? 'FORMAT_INVALID';
    return new FormatError({ code, operation: error.operation, message: error.message, cause: error });
  }
  if (isTimelineError(error)) {
    const { operation, message, context } = error;
    const code = TIMELINE_CODES[error.code] ?? 'FORMAT_INVALID';
    return new FormatError({ code, operation, message, context, cause: error });
  }
  if (isRedoError(error)) {
    const { operation, message, context } = error;
    return new FormatError({
      code: REDO_CODES[error.code],
      operation,
      message,
      context: { ...context },
      cause: error,
    });
  }
  return error;
}

/** Runs work, its faults translated. */
export async function translating<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toFormatError(error);
  }
}

/** Passes items on; faults of the source come out translated. */
export async function* translatingItems<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* source;
  } catch (error) {
    throw toFormatError(error);
  }
}
