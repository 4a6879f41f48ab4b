import type { ObjectHeaders, StoredObject } from './bucket.ts';
import type { S3Call, S3Reply } from './call.ts';
import { checkCopySourceConditions, checkReadConditions, checkWriteConditions } from './conditions.ts';
import { bucketOf, copySource, keptHeaders, objectOf } from './lookup.ts';
import { parseRange } from './range.ts';
import { S3Error } from './s3-error.ts';
import { element, xmlDocument } from './xml.ts';

export async function putObject(call: S3Call): Promise<S3Reply> {
  const bucket = bucketOf(call);
  checkWriteConditions(call, bucket.get(call.key), 'put');
  const body = await call.receive();
  checkWriteConditions(call, bucket.get(call.key), 'put');
  const headers = keptHeaders(call.headers);
  bucket.set(call.key, {
    blob: body.blob,
    etag: body.md5Hex,
    modifiedAt: new Date(),
    headers,
    checksum: body.checksum,
  });
  return { status: 200, headers: { ...encryptionHeaders(headers), etag: `"${body.md5Hex}"` } };
}

export async function getObject(call: S3Call): Promise<S3Reply> {
  const object = objectOf(call);
  checkReadConditions(call, object);
  checkCustomerKey(call, object);
  const sizeBytes = object.blob.sizeBytes;
  const range =
    call.state.quirks.rangeIgnored === true ? undefined : parseRange(call.headers.range, sizeBytes);
  const headers: Record<string, string> = { ...describe(object), 'accept-ranges': 'bytes' };
  if (range === undefined) {
    if (call.headers['x-amz-checksum-mode']?.toString().toUpperCase() === 'ENABLED' && object.checksum)
      headers[`x-amz-checksum-${object.checksum.algorithm}`] = object.checksum.base64;
    return { status: 200, headers, body: { blob: object.blob, start: 0, end: sizeBytes } };
  }
  headers['content-range'] = `bytes ${range.start}-${range.end - 1}/${sizeBytes}`;
  return { status: 206, headers, body: { blob: object.blob, ...range } };
}

export async function headObject(call: S3Call): Promise<S3Reply> {
  const object = objectOf(call);
  checkReadConditions(call, object);
  checkCustomerKey(call, object);
  return {
    status: 200,
    headers: { ...describe(object), 'content-length': String(object.blob.sizeBytes) },
  };
}

export async function deleteObject(call: S3Call): Promise<S3Reply> {
  bucketOf(call).delete(call.key);
  return { status: 204 };
}

export async function copyObject(call: S3Call): Promise<S3Reply> {
  const source = copySource(call);
  checkCopySourceConditions(call, source.object);
  if (source.object.blob.sizeBytes > call.state.limits.copySizeMaxBytes)
    throw new S3Error(
      400,
      'InvalidRequest',
      `The specified copy source is larger than the maximum allowable size for a copy source: ${call.state.limits.copySizeMaxBytes}`,
    );
  const given = keptHeaders(call.headers);
  const { 'x-amz-storage-class': _, ...inherited } = source.object.headers;
  const copy = { ...source.object, headers: { ...inherited, ...given }, modifiedAt: new Date() };
  bucketOf(call).set(call.key, copy);
  const inner = element('ETag', `"${copy.etag}"`) + element('LastModified', copy.modifiedAt.toISOString());
  return { status: 200, body: xmlDocument('CopyObjectResult', inner) };
}

function describe(object: StoredObject): Record<string, string> {
  const headers = Object.entries(object.headers).filter(([name]) => name !== 'x-amz-storage-class');
  const storageClass = object.headers['x-amz-storage-class'];
  return {
    ...Object.fromEntries(headers),
    ...(storageClass === undefined || storageClass === 'STANDARD'
      ? {}
      : { 'x-amz-storage-class': storageClass }),
    etag: `"${object.etag}"`,
    'last-modified': object.modifiedAt.toUTCString(),
  };
}

/** An object stored with a customer's key is read only with that key. */
function checkCustomerKey(call: S3Call, object: StoredObject): void {
  const name = 'x-amz-server-side-encryption-customer-key-md5';
  if (object.headers[name] !== undefined && call.headers[name] !== object.headers[name])
    throw new S3Error(
      400,
      'InvalidRequest',
      'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
    );
}

function encryptionHeaders(headers: ObjectHeaders): ObjectHeaders {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.startsWith('x-amz-server-side-encryption')),
  );
}
