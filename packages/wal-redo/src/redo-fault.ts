/** What is wrong with a record or page, told by a routine that doesn't know where it runs; the engine makes it a RedoError. */
export class RedoFault extends Error {
  override readonly name = 'RedoFault';
  readonly code: RedoFaultCode;

  constructor(code: RedoFaultCode, message: string) {
    super(message);
    this.code = code;
  }
}

export type RedoFaultCode =
  /** No redo is known for this (resource manager, info): let stock Postgres of that major do it. */
  | 'REDO_UNSUPPORTED_RECORD'
  /** The record contradicts itself or its format. */
  | 'REDO_INVALID_RECORD'
  /** The page is not one that the record can have been made for. */
  | 'REDO_INVALID_PAGE';

export function invalidRecord(message: string): RedoFault {
  return new RedoFault('REDO_INVALID_RECORD', message);
}

export function invalidPage(message: string): RedoFault {
  return new RedoFault('REDO_INVALID_PAGE', message);
}
