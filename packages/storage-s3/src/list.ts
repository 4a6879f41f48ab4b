import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { type ListOptions, type ListPage, type ObjectInfo, StorageError } from '@neon-snapshot/storage-core';
import { plainEtag, type S3Context } from './context.ts';
import { notFromS3Error } from './not-from-s3.ts';

/** Pages of ListObjectsV2. A page that says there is more without saying where is an error, never the end. */
export async function* listObjects(context: S3Context, options: ListOptions): AsyncGenerator<ListPage> {
  const { bucket, keyPrefix } = context.config;
  const { signal, startAfter } = options;
  const straddled = await straddledPrefix(context, options);
  if (straddled !== undefined) yield { objects: [], prefixes: [straddled] };
  let token: string | undefined;
  do {
    const output: ListObjectsV2CommandOutput = await context.requester.send(
      { operation: 'list', signal },
      (client, callOptions) =>
        client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: keyPrefix + (options.prefix ?? ''),
            EncodingType: 'url',
            ...(options.delimiter === undefined ? {} : { Delimiter: options.delimiter }),
            ...(startAfter === undefined || token !== undefined
              ? {}
              : { StartAfter: keyPrefix + startAfter }),
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          callOptions,
        ),
    );
    if (!isListing(output)) throw notFromS3Error(context, { operation: 'list' });
    context.dialect.bucketSeen = true;
    const page = readPage(output, keyPrefix, straddled);
    const next = output.IsTruncated === true ? output.NextContinuationToken : undefined;
    if (output.IsTruncated === true && (next === undefined || next === token)) throw partialListing(context);
    if (page.objects.length + page.prefixes.length > 0) yield page;
    token = next;
  } while (token !== undefined);
}

/**
 * The prefix that `startAfter` lies in, when keys of it follow. S3 compares a folded prefix with `startAfter` as a key,
 * and so leaves `a/` out after `a/1` even when there is an `a/2`; the port wants it.
 */
async function straddledPrefix(context: S3Context, options: ListOptions): Promise<string | undefined> {
  const { prefix = '', startAfter, delimiter, signal } = options;
  if (delimiter === undefined || startAfter === undefined || !startAfter.startsWith(prefix)) return undefined;
  const slash = startAfter.indexOf(delimiter, prefix.length);
  if (slash < 0) return undefined;
  const folded = startAfter.slice(0, slash + 1);
  const { bucket, keyPrefix } = context.config;
  const output = await context.requester.send({ operation: 'list', signal }, (client, callOptions) =>
    client.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: keyPrefix + folded,
        StartAfter: keyPrefix + startAfter,
        MaxKeys: 1,
      }),
      callOptions,
    ),
  );
  return (output.Contents ?? []).length > 0 ? folded : undefined;
}

/** The SDK reads any XML, and an empty body, as a listing without objects. */
function isListing(output: ListObjectsV2CommandOutput): boolean {
  return output.Name !== undefined || output.KeyCount !== undefined || output.IsTruncated !== undefined;
}

function readPage(
  output: ListObjectsV2CommandOutput,
  keyPrefix: string,
  known: string | undefined,
): ListPage {
  const relative = (text: string) =>
    (output.EncodingType === 'url' ? decodeForm(text) : text).slice(keyPrefix.length);
  const objects = (output.Contents ?? []).flatMap((found): ObjectInfo[] => {
    const key = relative(found.Key ?? '');
    // The marker of our own root has no key.
    if (key === '') return [];
    return [
      {
        key,
        sizeBytes: found.Size ?? 0,
        ...plainEtag(found.ETag),
        ...(found.LastModified === undefined ? {} : { modifiedAt: found.LastModified }),
      },
    ];
  });
  const prefixes = (output.CommonPrefixes ?? []).map((found) => relative(found.Prefix ?? ''));
  return { objects, prefixes: prefixes.filter((prefix) => prefix !== known) };
}

/** AWS encodes a space as `+`, others as `%20`; a plus sign is `%2B` with all. */
function decodeForm(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

function partialListing(context: S3Context): StorageError {
  return new StorageError({
    code: 'STORAGE_TRUNCATED',
    operation: 'list',
    message: `${context.config.endpoint ?? 'AWS'} cut a listing of ${context.config.url} short and did not say where it goes on`,
  });
}
