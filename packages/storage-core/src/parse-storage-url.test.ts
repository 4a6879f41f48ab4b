import { describe, expect, test } from 'vitest';
import { parseStorageUrl } from './parse-storage-url.ts';
import { isStorageError } from './storage-error.ts';

const BASE = { baseDirectory: '/base' };

function messageOf(text: string): string {
  try {
    parseStorageUrl(text, BASE);
  } catch (error) {
    if (isStorageError(error, 'STORAGE_INVALID_URL')) return error.message;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

describe('a storage URL', () => {
  test.each([
    ['s3://bucket', 's3', 'bucket', '', 's3://bucket'],
    ['s3://bucket/', 's3', 'bucket', '', 's3://bucket'],
    ['S3://bucket/a/b/', 's3', 'bucket', 'a/b', 's3://bucket/a/b'],
    ['gs://bucket/a%20b', 'gs', 'bucket', 'a b', 'gs://bucket/a%20b'],
    ['gcs://bucket/x', 'gs', 'bucket', 'x', 'gs://bucket/x'],
    ['azure://container/x+y', 'azure', 'container', 'x+y', 'azure://container/x+y'],
    ['az://container', 'azure', 'container', '', 'azure://container'],
    ['abs://container', 'azure', 'container', '', 'azure://container'],
    ['swift://container/x', 'swift', 'container', 'x', 'swift://container/x'],
    ['ssh://me@host:2222/srv/x', 'ssh', 'me@host:2222', 'srv/x', 'ssh://me@host:2222/srv/x'],
    ['sftp://[::1]:22/x', 'ssh', '[::1]:22', 'x', 'ssh://[::1]:22/x'],
    ['acme+v2://some.host:1/x', 'acme+v2', 'some.host:1', 'x', 'acme+v2://some.host:1/x'],
    ['file:///abs/path/', 'file', '', '/abs/path', 'file:///abs/path'],
    ['file://localhost/abs', 'file', '', '/abs', 'file:///abs'],
    ['file:/abs', 'file', '', '/abs', 'file:///abs'],
    ['file:///a%20b%23c/../d', 'file', '', '/d', 'file:///d'],
    [
      '/abs/with space#and?marks',
      'file',
      '',
      '/abs/with space#and?marks',
      'file:///abs/with%20space%23and%3Fmarks',
    ],
    ['relative/dir', 'file', '', '/base/relative/dir', 'file:///base/relative/dir'],
    ['.', 'file', '', '/base', 'file:///base'],
    ['100%', 'file', '', '/base/100%', 'file:///base/100%25'],
    ['./s3:x', 'file', '', '/base/s3:x', 'file:///base/s3:x'],
  ])('%s is understood', (text, scheme, authority, path, url) => {
    expect(parseStorageUrl(text, BASE)).toMatchObject({ scheme, authority, path, url });
    expect(parseStorageUrl(url, BASE)).toEqual(parseStorageUrl(text, BASE));
  });

  test('keeps its options decoded and in order, kebab-case names as snake_case', () => {
    const { options, url } = parseStorageUrl(
      's3://b/p?endpoint=http://127.0.0.1:9000&path-style=1&Region=a%26b+c',
    );
    expect([...options]).toEqual([
      ['endpoint', 'http://127.0.0.1:9000'],
      ['path_style', '1'],
      ['region', 'a&b+c'],
    ]);
    expect(parseStorageUrl(url).options).toEqual(options);
  });

  test.each([
    ['', 'it is empty'],
    ['s3:bucket/x', 's3://bucket/x'],
    ['s3://', 'names no bucket'],
    ['s3://user@bucket', 'a bucket takes no user'],
    ['s3://127.0.0.1:9000/bucket', '?endpoint=http://127.0.0.1:9000'],
    ['s3://bucket/a//b', 'an empty segment'],
    ['s3://bucket/../x', 'the segment ".."'],
    ['s3://bucket/%2e%2e/x', 'the segment ".."'],
    ['s3://bucket/100%', 'write it %25'],
    ['s3://bucket/x#y', '%23'],
    ['s3://bucket?region', 'not name=value'],
    ['s3://bucket?region=a&region=b', 'given twice'],
    ['s3://buc ket', 'a space'],
    ['ssh:///path', 'names no host'],
    ['ssh://host:0/path', 'between 1 and 65535'],
    ['ssh://host:ssh/path', 'not HOST or HOST:PORT'],
    ['file://relative/path', 'three slashes'],
    ['~/backups', '$HOME'],
    ['a\0b', 'NUL'],
  ])('%s is refused with a hint', (text, hint) => {
    expect(messageOf(text)).toContain(hint);
  });

  test.each([
    'ssh://me:hunter22@host/x',
    's3://key:hunter22@bucket',
    's3://b?secret_access_key=hunter22',
    's3://b?access-key-id=hunter22',
    'azure://c?sas_token=hunter22',
    'ssh://h/x?Password=hunter22',
  ])('%s is refused, and the secret is not repeated', (text) => {
    expect(messageOf(text)).toContain('environment');
    expect(messageOf(text)).not.toContain('hunter22');
  });
});
