import { compareKeys } from './bucket.ts';
import type { S3Call, S3Reply } from './call.ts';
import { bucketOf } from './lookup.ts';
import { S3Error } from './s3-error.ts';
import { element, xmlDocument } from './xml.ts';

interface ListedPage {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
  /** The last key or prefix of the page where more follows. */
  readonly next: string | undefined;
}

export async function listBuckets(call: S3Call): Promise<S3Reply> {
  const names = [...call.state.buckets.keys()].map((name) => `<Bucket>${element('Name', name)}</Bucket>`);
  return {
    status: 200,
    body: xmlDocument('ListAllMyBucketsResult', `<Buckets>${names.join('')}</Buckets>`),
  };
}

export async function listObjectsV2(call: S3Call): Promise<S3Reply> {
  const { query } = call;
  const encode = encoder(query.get('encoding-type'));
  const token = query.get('continuation-token');
  const after = token === null ? (query.get('start-after') ?? '') : decodeToken(token);
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const pageSize = Math.min(Number(query.get('max-keys') ?? 1000), call.state.limits.pageSizeMax);
  const page = selectPage(bucketOf(call).keys(), { prefix, delimiter, after, pageSize });
  const bucket = bucketOf(call);
  const contents = page.keys.map((key) => {
    const object = bucket.get(key);
    if (object === undefined) return '';
    return `<Contents>${element('Key', encode(key))}${element('LastModified', object.modifiedAt.toISOString())}${element('ETag', `"${object.etag}"`)}${element('Size', object.blob.sizeBytes)}${element('StorageClass', 'STANDARD')}</Contents>`;
  });
  const inner = [
    element('Name', call.bucketName),
    element('Prefix', encode(prefix)),
    element('KeyCount', page.keys.length + page.prefixes.length),
    element('MaxKeys', pageSize),
    element('IsTruncated', page.next !== undefined),
    query.get('encoding-type') === 'url' ? element('EncodingType', 'url') : '',
    page.next === undefined ? '' : element('NextContinuationToken', encodeToken(page.next)),
    ...contents,
    ...page.prefixes.map((text) => `<CommonPrefixes>${element('Prefix', encode(text))}</CommonPrefixes>`),
  ];
  return { status: 200, body: xmlDocument('ListBucketResult', inner.join('')) };
}

function selectPage(
  keys: readonly string[],
  options: {
    readonly prefix: string;
    readonly delimiter: string;
    readonly after: string;
    readonly pageSize: number;
  },
): ListedPage {
  const { prefix, delimiter, after, pageSize } = options;
  const selected: string[] = [];
  const prefixes: string[] = [];
  let last = '';
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    const folded = foldKey(key, prefix, delimiter);
    const entry = folded ?? key;
    // A folded prefix is compared as itself, as AWS, Ceph and MinIO do: `a/` does not come after `a/1`.
    if (entry === last || (after !== '' && compareKeys(entry, after) <= 0)) continue;
    if (selected.length + prefixes.length >= pageSize) return { keys: selected, prefixes, next: last };
    if (folded === undefined) selected.push(key);
    else prefixes.push(folded);
    last = entry;
  }
  return { keys: selected, prefixes, next: undefined };
}

function foldKey(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === '') return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

function encoder(type: string | null): (text: string) => string {
  if (type === null) return (text) => text;
  if (type !== 'url')
    throw new S3Error(400, 'InvalidArgument', 'Invalid Encoding Method specified in Request');
  // As AWS does: a form encoding that leaves `/` alone.
  return (text) => encodeURIComponent(text).replaceAll('%20', '+').replaceAll('%2F', '/');
}

function encodeToken(text: string): string {
  return Buffer.from(text).toString('base64url');
}

function decodeToken(token: string): string {
  const text = Buffer.from(token, 'base64url').toString();
  if (encodeToken(text) !== token)
    throw new S3Error(400, 'InvalidArgument', 'The continuation token provided is incorrect');
  return text;
}
