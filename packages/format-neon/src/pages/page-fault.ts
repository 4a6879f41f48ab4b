/** A fault of one page of a job, on its way to the main thread. */
export class PageFault extends Error {
  override readonly name = 'PageFault';
  readonly code: string;
  /** Which page of the job. */
  readonly pageIndex: number;

  constructor(pageIndex: number, cause: Error & { readonly code: string }) {
    super(cause.message, { cause });
    this.code = cause.code;
    this.pageIndex = pageIndex;
  }
}
