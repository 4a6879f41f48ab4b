import { describe, expect, it } from 'vitest';
import { walRecordName } from './wal-record-name.ts';
import { RESOURCE_MANAGER } from './wal-resource-manager.ts';

const { heap, heap2, transaction, database, generic, gist, xlog } = RESOURCE_MANAGER;

describe('the name of a WAL record', () => {
  it.each([
    [xlog, 0xb0, 'FPI'],
    [xlog, 0xd0, 'OVERWRITE_CONTRECORD'],
    [xlog, 0xc0, undefined],
    [heap, 0x00, 'INSERT'],
    [heap, 0x80, 'INSERT+INIT'],
    [heap, 0x90, undefined],
    [heap, 0xc0, 'HOT_UPDATE+INIT'],
    [heap2, 0xd0, 'MULTI_INSERT+INIT'],
    [gist, 0x70, 'ASSIGN_LSN'],
    [134, 0xd0, 'MULTI_INSERT+INIT'],
    [135, 0x00, undefined],
    [22, 0x00, undefined],
  ])('of manager %i with info %i is %s', (resourceManager, info, name) => {
    expect(walRecordName({ resourceManager, info, major: 17 })).toBe(name);
  });

  it('does not depend on the bits that are not the resource manager’s', () => {
    expect(walRecordName({ resourceManager: heap, info: 0x42, major: 17 })).toBe('HOT_UPDATE');
    expect(walRecordName({ resourceManager: transaction, info: 0x80, major: 17 })).toBe('COMMIT');
    expect(walRecordName({ resourceManager: generic, info: 0x50, major: 17 })).toBe('Generic');
  });

  it('follows the major where it was changed', () => {
    const names = (resourceManager: number, info: number) =>
      [14, 15, 16, 17, 18].map((major) => walRecordName({ resourceManager, info, major }));
    expect(names(heap2, 0x10)).toEqual(['PRUNE', 'PRUNE', 'PRUNE', 'PRUNE_ON_ACCESS', 'PRUNE_ON_ACCESS']);
    expect(names(database, 0x10)).toEqual([
      'DROP',
      'CREATE_WAL_LOG',
      'CREATE_WAL_LOG',
      'CREATE_WAL_LOG',
      'CREATE_WAL_LOG',
    ]);
    expect(names(database, 0x00)).toEqual(['CREATE', ...Array(4).fill('CREATE_FILE_COPY')]);
  });

  it('refuses a major that it does not know', () => {
    expect(() => walRecordName({ resourceManager: heap, info: 0, major: 13 })).toThrow(
      expect.objectContaining({ code: 'POSTGRES_UNSUPPORTED_VERSION' }),
    );
  });
});
