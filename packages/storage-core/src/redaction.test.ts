import { expect, test } from 'vitest';
import { createRedactor } from './redaction.ts';

test('secrets are masked, also percent-encoded', () => {
  const redact = createRedactor(['se/cr+et', 'se/cr+et-longer', '']);
  expect(redact('key se/cr+et, url se%2Fcr%2Bet, se/cr+et-longer')).toBe('key ***, url ***, ***');
});

test('passwords in URLs and signatures are masked without being known', () => {
  const redact = createRedactor([]);
  expect(redact('ssh://me:pw@host/x')).toBe('ssh://me:***@host/x');
  expect(redact('http://h/b?X-Amz-Signature=abc&x=1')).toBe('http://h/b?X-Amz-Signature=***&x=1');
  expect(redact('Authorization: AWS4-HMAC-SHA256 Credential=AKIA')).toBe('Authorization: ***');
  expect(redact('nothing to hide at http://host:9000/x')).toBe('nothing to hide at http://host:9000/x');
});
