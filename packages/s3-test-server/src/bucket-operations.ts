import { Bucket } from './bucket.ts';
import type { S3Call, S3Reply } from './call.ts';
import { bucketOf } from './lookup.ts';
import { S3Error } from './s3-error.ts';
import { element, innerXmlOf, textOf, xmlDocument } from './xml.ts';

const DELETE_KEYS_MAX = 1000;

export async function createBucket(call: S3Call): Promise<S3Reply> {
  if (call.state.buckets.has(call.bucketName))
    throw new S3Error(409, 'BucketAlreadyOwnedByYou', 'You already own this bucket');
  call.state.buckets.set(call.bucketName, new Bucket());
  return { status: 200, headers: { location: `/${call.bucketName}` } };
}

export async function headBucket(call: S3Call): Promise<S3Reply> {
  bucketOf(call);
  return { status: 200, headers: { 'x-amz-bucket-region': call.state.region } };
}

export async function deleteBucket(call: S3Call): Promise<S3Reply> {
  if (bucketOf(call).keys().length > 0)
    throw new S3Error(409, 'BucketNotEmpty', 'The bucket you tried to delete is not empty');
  call.state.buckets.delete(call.bucketName);
  return { status: 204 };
}

export async function deleteObjects(call: S3Call): Promise<S3Reply> {
  const mode = call.state.quirks.deleteObjects;
  if (mode === 'not-implemented')
    throw new S3Error(501, 'NotImplemented', 'Multi-object delete is not implemented');
  const hasChecksum = Object.keys(call.headers).some((name) => name.startsWith('x-amz-checksum-'));
  const hasMd5 = call.headers['content-md5'] !== undefined;
  if (!hasMd5 && (mode === 'requires-content-md5' || !hasChecksum))
    throw new S3Error(400, 'InvalidRequest', 'Missing required header for this request: Content-MD5');
  const bucket = bucketOf(call);
  const text = await call.receiveText();
  const keys = innerXmlOf(text, 'Object').map((xml) => textOf(xml, 'Key') ?? '');
  if (keys.length === 0 || keys.length > DELETE_KEYS_MAX)
    throw new S3Error(400, 'MalformedXML', 'The XML names no key or more than 1000');
  for (const key of keys) bucket.delete(key);
  const isQuiet = textOf(text, 'Quiet') === 'true';
  const deleted = isQuiet ? [] : keys.map((key) => `<Deleted>${element('Key', key)}</Deleted>`);
  return { status: 200, body: xmlDocument('DeleteResult', deleted.join('')) };
}
