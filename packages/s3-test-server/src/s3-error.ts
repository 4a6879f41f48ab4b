import { element, xmlDocument } from './xml.ts';

/** A failure that the client is told about, as S3 tells it. */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  readonly status: number;
  readonly code: string;
  /** Further elements of the error document, e.g. `Region`. */
  readonly details: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    extra: {
      readonly details?: Readonly<Record<string, string>>;
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = extra.details ?? {};
    this.headers = extra.headers ?? {};
  }
}

/** The XML document of an error reply. */
export function errorDocument(error: S3Error): string {
  const details = Object.entries(error.details).map(([name, value]) => element(name, value));
  return xmlDocument(
    'Error',
    element('Code', error.code) + element('Message', error.message) + details.join(''),
  );
}
