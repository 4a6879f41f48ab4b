import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { chunkSignature, type SignatureConfig, verifySignature } from './signature.ts';

// The worked examples of the S3 API reference, "Signature Calculations for the Authorization Header".
const EXAMPLE_TIME = '2013-05-24T00:00:00Z';
const config: SignatureConfig = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: undefined,
  region: 'us-east-1',
  clockOffsetMs: Date.parse(EXAMPLE_TIME) - Date.now(),
};
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const getExample = {
  method: 'GET',
  target: '/test.txt',
  headers: {
    host: 'examplebucket.s3.amazonaws.com',
    range: 'bytes=0-9',
    'x-amz-content-sha256': EMPTY_SHA256,
    'x-amz-date': '20130524T000000Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,' +
      'SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,' +
      'Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
};

test('The GET example of the API reference has a valid signature', () => {
  expect(verifySignature(getExample, config).scope).toBe('20130524/us-east-1/s3/aws4_request');
});

test.each([
  [
    'another range',
    { ...getExample, headers: { ...getExample.headers, range: 'bytes=0-8' } },
    'SignatureDoesNotMatch',
  ],
  ['another path', { ...getExample, target: '/test.tx' }, 'SignatureDoesNotMatch'],
  ['a query parameter', { ...getExample, target: '/test.txt?x=1' }, 'SignatureDoesNotMatch'],
  [
    'a token that nobody asked for',
    { ...getExample, headers: { ...getExample.headers, 'x-amz-security-token': 't' } },
    'InvalidToken',
  ],
])('A signed request with %s is refused', (_, request, code) => {
  expect(() => verifySignature(request, config)).toThrow(expect.objectContaining({ code }));
});

test('A request signed more than 15 minutes ago is refused', () => {
  const late = { ...config, clockOffsetMs: config.clockOffsetMs + 16 * 60_000 };
  expect(() => verifySignature(getExample, late)).toThrow(
    expect.objectContaining({ code: 'RequestTimeTooSkewed' }),
  );
});

test('The chunk signatures of the streaming example of the API reference come out', () => {
  const put = {
    method: 'PUT',
    target: '/examplebucket/chunkObject.txt',
    headers: {
      host: 's3.amazonaws.com',
      'content-encoding': 'aws-chunked',
      'content-length': '66824',
      'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      'x-amz-date': '20130524T000000Z',
      'x-amz-decoded-content-length': '66560',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,' +
        'SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,' +
        'Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
    },
  };
  const seed = verifySignature(put, config);
  const sign = (previous: string, length: number) =>
    chunkSignature(seed, {
      previous,
      kind: 'PAYLOAD',
      contentSha256: createHash('sha256').update('a'.repeat(length)).digest('hex'),
    });
  const first = sign(seed.signature, 65_536);
  const second = sign(first, 1024);
  expect([first, second, sign(second, 0)]).toEqual([
    'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
    '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
    'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
  ]);
});
