import type { StoredObject } from './bucket.ts';
import type { S3Call } from './call.ts';
import { S3Error } from './s3-error.ts';

const QUOTED = /^"(.*)"$/;

/** Checks the conditions of a write; called twice: before the body is received and, atomically, before it is stored. */
export function checkWriteConditions(
  call: S3Call,
  existing: StoredObject | undefined,
  mode: 'put' | 'complete',
): void {
  const ifNoneMatch = call.headers['if-none-match'];
  const ifMatch = call.headers['if-match'];
  if (ifNoneMatch === undefined && ifMatch === undefined) return;
  const { quirks } = call.state;
  if (quirks.conditionalPut === 'not-implemented')
    throw new S3Error(
      501,
      'NotImplemented',
      'A header you provided implies functionality that is not implemented.',
      { details: { Header: ifNoneMatch === undefined ? 'If-Match' : 'If-None-Match' } },
    );
  if (quirks.conditionalPut === 'ignored') return;
  if (mode === 'complete' && quirks.conditionalComplete === 'ignored') return;
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*')
    throw new S3Error(501, 'NotImplemented', 'If-None-Match on a write takes only *');
  if (ifNoneMatch === '*' && existing !== undefined) throw preconditionFailed('If-None-Match');
  if (ifMatch === undefined) return;
  if (existing === undefined) throw new S3Error(404, 'NoSuchKey', 'The specified key does not exist.');
  if (!matches(ifMatch, existing.etag, quirks.ifMatchUnquotedOnly === true))
    throw preconditionFailed('If-Match');
}

/** Checks `If-Match` and `If-None-Match` of a read. */
export function checkReadConditions(call: S3Call, object: StoredObject): void {
  const ifMatch = call.headers['if-match'];
  if (ifMatch !== undefined && !matches(ifMatch, object.etag, false)) throw preconditionFailed('If-Match');
  const ifNoneMatch = call.headers['if-none-match'];
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, object.etag, false))
    throw new S3Error(304, 'NotModified', 'Not modified');
}

/** Checks `x-amz-copy-source-if-match`. */
export function checkCopySourceConditions(call: S3Call, source: StoredObject): void {
  const ifMatch = call.headers['x-amz-copy-source-if-match'];
  if (typeof ifMatch === 'string' && !matches(ifMatch, source.etag, false))
    throw preconditionFailed('x-amz-copy-source-If-Match');
}

function matches(header: string, etag: string, isUnquotedOnly: boolean): boolean {
  if (isUnquotedOnly) return header === etag;
  return header === '*' || (QUOTED.exec(header)?.[1] ?? header) === etag;
}

function preconditionFailed(condition: string): S3Error {
  return new S3Error(
    412,
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold',
    { details: { Condition: condition } },
  );
}
