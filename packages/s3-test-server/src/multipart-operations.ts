import { createHash } from 'node:crypto';
import { type Blob, concatenateBlobs } from './blob-store.ts';
import type { MultipartUpload, StoredPart } from './bucket.ts';
import type { S3Call, S3Reply } from './call.ts';
import { compositeChecksum, type StoredChecksum } from './checksums.ts';
import { checkCopySourceConditions, checkWriteConditions } from './conditions.ts';
import { bucketOf, copySource, keptHeaders, uploadOf } from './lookup.ts';
import { parseRange } from './range.ts';
import { S3Error } from './s3-error.ts';
import { element, innerXmlOf, textOf, xmlDocument } from './xml.ts';

const PART_NUMBER_MAX = 10_000;

export async function createMultipartUpload(call: S3Call): Promise<S3Reply> {
  const uploadId = bucketOf(call).openUpload({
    key: call.key,
    headers: keptHeaders(call.headers),
    checksumAlgorithm: call.headers['x-amz-checksum-algorithm']?.toString().toLowerCase(),
    parts: new Map(),
  });
  const inner = element('Bucket', call.bucketName) + element('Key', call.key) + element('UploadId', uploadId);
  return { status: 200, body: xmlDocument('InitiateMultipartUploadResult', inner) };
}

export async function uploadPart(call: S3Call): Promise<S3Reply> {
  const { upload } = uploadOf(call);
  const number = partNumberOf(call);
  const body = await call.receive();
  upload.parts.set(number, { blob: body.blob, etag: body.md5Hex, checksum: body.checksum });
  return { status: 200, headers: { etag: `"${body.md5Hex}"` } };
}

export async function uploadPartCopy(call: S3Call): Promise<S3Reply> {
  const { upload } = uploadOf(call);
  const number = partNumberOf(call);
  const { object } = copySource(call);
  checkCopySourceConditions(call, object);
  const header = call.headers['x-amz-copy-source-range'];
  const range = parseRange(typeof header === 'string' ? header : undefined, object.blob.sizeBytes);
  const blob = sliceBlob(object.blob, range?.start ?? 0, range?.end ?? object.blob.sizeBytes);
  const etag = await md5Of(blob);
  upload.parts.set(number, { blob, etag, checksum: undefined });
  const inner = element('ETag', `"${etag}"`) + element('LastModified', new Date().toISOString());
  return { status: 200, body: xmlDocument('CopyPartResult', inner) };
}

export async function completeMultipartUpload(call: S3Call): Promise<S3Reply> {
  const bucket = bucketOf(call);
  const text = await call.receiveText();
  const { id, upload } = uploadOf(call);
  checkWriteConditions(call, bucket.get(call.key), 'complete');
  const parts = namedParts(text, upload, call.state.limits.partSizeMinBytes);
  const digest = createHash('md5');
  for (const part of parts) digest.update(Buffer.from(part.etag, 'hex'));
  const etag = `${digest.digest('hex')}-${parts.length}`;
  const checksums = parts.flatMap((part) => (part.checksum === undefined ? [] : [part.checksum]));
  bucket.set(call.key, {
    blob: concatenateBlobs(parts.map((part) => part.blob)),
    etag,
    modifiedAt: new Date(),
    headers: upload.headers,
    checksum: checksums.length === parts.length ? compositeChecksum(checksums) : undefined,
  });
  bucket.uploads.delete(id);
  const inner = element('Bucket', call.bucketName) + element('Key', call.key) + element('ETag', `"${etag}"`);
  return { status: 200, body: xmlDocument('CompleteMultipartUploadResult', inner) };
}

export async function abortMultipartUpload(call: S3Call): Promise<S3Reply> {
  const { id, upload } = uploadOf(call);
  bucketOf(call).uploads.delete(id);
  await Promise.all([...upload.parts.values()].map((part) => part.blob.dispose()));
  return { status: 204 };
}

export async function listParts(call: S3Call): Promise<S3Reply> {
  const { id, upload } = uploadOf(call);
  const parts = [...upload.parts]
    .sort(([a], [b]) => a - b)
    .map(
      ([number, part]) =>
        `<Part>${element('PartNumber', number)}${element('ETag', `"${part.etag}"`)}${element('Size', part.blob.sizeBytes)}</Part>`,
    );
  const inner = element('UploadId', id) + element('IsTruncated', false) + parts.join('');
  return { status: 200, body: xmlDocument('ListPartsResult', inner) };
}

export async function listMultipartUploads(call: S3Call): Promise<S3Reply> {
  const prefix = call.query.get('prefix') ?? '';
  const uploads = [...bucketOf(call).uploads]
    .filter(([, upload]) => upload.key.startsWith(prefix))
    .map(([id, upload]) => `<Upload>${element('Key', upload.key)}${element('UploadId', id)}</Upload>`);
  const inner = element('Bucket', call.bucketName) + element('IsTruncated', false) + uploads.join('');
  return { status: 200, body: xmlDocument('ListMultipartUploadsResult', inner) };
}

function partNumberOf(call: S3Call): number {
  const number = Number(call.query.get('partNumber'));
  if (!Number.isInteger(number) || number < 1 || number > PART_NUMBER_MAX)
    throw new S3Error(
      400,
      'InvalidArgument',
      'Part number must be an integer between 1 and 10000, inclusive',
    );
  return number;
}

/** The parts that a CompleteMultipartUpload document names, checked one by one. */
function namedParts(text: string, upload: MultipartUpload, partSizeMinBytes: number): readonly StoredPart[] {
  const named = innerXmlOf(text, 'Part');
  if (named.length === 0) throw new S3Error(400, 'MalformedXML', 'The XML you provided names no part');
  let previous = 0;
  return named.map((xml, index) => {
    const number = Number(textOf(xml, 'PartNumber'));
    if (number <= previous)
      throw new S3Error(400, 'InvalidPartOrder', 'The parts are not in ascending order.');
    previous = number;
    const part = upload.parts.get(number);
    if (part === undefined || textOf(xml, 'ETag')?.replaceAll('"', '') !== part.etag)
      throw new S3Error(400, 'InvalidPart', `Part ${number} could not be found or has another ETag.`);
    if (index < named.length - 1 && part.blob.sizeBytes < partSizeMinBytes)
      throw new S3Error(
        400,
        'EntityTooSmall',
        'Your proposed upload is smaller than the minimum allowed size',
      );
    checkPartChecksum(xml, part.checksum, upload.checksumAlgorithm);
    return part;
  });
}

function checkPartChecksum(
  xml: string,
  stored: StoredChecksum | undefined,
  algorithm: string | undefined,
): void {
  if (algorithm === undefined) return;
  const given = textOf(xml, `Checksum${algorithm.toUpperCase()}`);
  if (stored?.algorithm !== algorithm || given !== stored.base64)
    throw new S3Error(
      400,
      'InvalidPart',
      `The upload was created using a ${algorithm} checksum. The complete request must include the checksum for each part.`,
    );
}

function sliceBlob(blob: Blob, start: number, end: number): Blob {
  return {
    sizeBytes: end - start,
    read: (from, to) => blob.read(start + from, start + to),
    dispose: async () => {},
  };
}

async function md5Of(blob: Blob): Promise<string> {
  const hash = createHash('md5');
  for await (const bytes of blob.read(0, blob.sizeBytes)) hash.update(bytes);
  return hash.digest('hex');
}
