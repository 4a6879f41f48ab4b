import { expect, test } from 'vitest';
import { assertSafeEntryPath } from './entry-path.ts';

test.each(['PG_VERSION', 'base/5/1259_fsm.1', 'log/größe …', '.hidden/..x', `${'a'.repeat(1024)}`])(
  'accepts %j',
  (path) => {
    expect(() => assertSafeEntryPath(path)).not.toThrow();
  },
);

test.each([
  '',
  '/etc/passwd',
  '..',
  '../x',
  'base/../../x',
  'base/./x',
  'base//x',
  'base/',
  'a\\b',
  'a\nb',
  'a\0b',
  'a\x7f',
  '\ud800',
  'ö'.repeat(513),
])('refuses %j as FORMAT_INVALID', (path) => {
  expect(() => assertSafeEntryPath(path)).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
});
