import { isPostgresFormatError, PostgresFormatError } from '@neon-snapshot/postgres';
import { isRedoError, RedoError } from '../redo-error.ts';

/** A typed error between threads, which structured cloning would make a plain one; any other as it is. */
export type PortableError =
  | { readonly kind: 'redo'; readonly fields: ConstructorParameters<typeof RedoError>[0] }
  | { readonly kind: 'format'; readonly fields: ConstructorParameters<typeof PostgresFormatError>[0] }
  | { readonly kind: 'other'; readonly error: unknown };

export function portableError(error: unknown): PortableError {
  if (isRedoError(error)) {
    const { code, operation, message, context } = error;
    return { kind: 'redo', fields: { code, operation, message, context } };
  }
  if (isPostgresFormatError(error)) {
    const { code, operation, message, context } = error;
    return { kind: 'format', fields: { code, operation, message, context } };
  }
  return { kind: 'other', error };
}

export function errorOf(portable: PortableError): unknown {
  if (portable.kind === 'redo') return new RedoError(portable.fields);
  return portable.kind === 'format' ? new PostgresFormatError(portable.fields) : portable.error;
}
