import { FormatError } from '@neon-snapshot/format-core';
import { PostgresFormatError } from '@neon-snapshot/postgres';
import { PostgresProcessError } from '@neon-snapshot/postgres-process';
import { RepositoryError } from '@neon-snapshot/repository';
import { StorageError } from '@neon-snapshot/storage-core';
import { describe, expect, it } from 'vitest';
import { usageError } from './cli-error.ts';
import { exitCodeOf } from './exit-code.ts';

const FACTS = { operation: 'get', message: 'it went wrong' } as const;

describe('exit codes', () => {
  it.each([
    [1, new StorageError({ ...FACTS, code: 'STORAGE_ACCESS_DENIED' })],
    [1, new FormatError({ ...FACTS, code: 'FORMAT_NOT_EMPTY' })],
    [1, new PostgresProcessError({ ...FACTS, code: 'POSTGRES_PROCESS_NOT_FOUND' })],
    [1, new RepositoryError({ ...FACTS, code: 'REPOSITORY_EXISTS' })],
    [1, new TypeError('a bug')],
    [1, 'no error at all'],
    [2, usageError('a typo')],
    [2, new StorageError({ ...FACTS, code: 'STORAGE_INVALID_URL' })],
    [2, new RepositoryError({ ...FACTS, code: 'REPOSITORY_CONFIG_INVALID' })],
    [3, new StorageError({ ...FACTS, code: 'STORAGE_TRUNCATED' })],
    [3, new FormatError({ ...FACTS, code: 'FORMAT_CORRUPT_PAGE' })],
    [3, new PostgresFormatError({ ...FACTS, code: 'POSTGRES_CHECKSUM' })],
    [130, new StorageError({ ...FACTS, code: 'STORAGE_ABORTED' })],
    [130, new PostgresProcessError({ ...FACTS, code: 'POSTGRES_PROCESS_ABORTED' })],
    [130, new DOMException('interrupted', 'AbortError')],
  ])('%i for %o', (expected, error) => {
    expect(exitCodeOf(error)).toBe(expected);
  });
});
