import { describe, expect, it } from 'vitest';
import { acceptKebabCase, ParsedArguments, parseAssignments } from './arguments.ts';

describe('parsed arguments', () => {
  it('refuse a flag that was given twice or is empty', () => {
    expect(() => new ParsedArguments({ lsn: ['a', 'b'] }).string('lsn')).toThrow('--lsn was given 2 times');
    expect(() => new ParsedArguments({ lsn: '' }).string('lsn')).toThrow('--lsn is empty');
    expect(() => new ParsedArguments({}).requiredString('lsn')).toThrow('--lsn is missing');
  });

  it('read whole numbers within their bounds', () => {
    const read = (concurrency: unknown) =>
      new ParsedArguments({ concurrency }).integer('concurrency', { min: 1, max: 64 });
    expect(read('8')).toBe(8);
    expect(read(undefined)).toBeUndefined();
    for (const bad of ['0', '65', '1.5', 'many', '', '1e', '0x10', ' 7']) {
      expect(() => read(bad)).toThrow('--concurrency must be a whole number from 1 to 64');
    }
  });

  it('read sizes with a unit', () => {
    const read = (text: string) => new ParsedArguments({ max_rate: text }).bytes('max_rate');
    expect(read('100M')).toBe(100 * 1024 ** 2);
    expect(read('1.5GiB')).toBe(1.5 * 1024 ** 3);
    expect(read('4096')).toBe(4096);
    for (const bad of ['0', '-1', 'fast', '1T2'])
      expect(() => read(bad)).toThrow('--max_rate must be a size');
  });

  it('tell what was given from what is a default', () => {
    const args = new ParsedArguments({ json: false, yes: true, lsn: '0/1' });
    expect([args.has('json'), args.has('yes'), args.has('lsn'), args.has('other')]).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
});

describe('kebab-case', () => {
  it('is accepted in flag names only', () => {
    expect(acceptKebabCase(['--snapshot-path=/a-b', '--dry-run', 'x-y', '-D', '--', '--not-mine'])).toEqual([
      '--snapshot_path=/a-b',
      '--dry_run',
      'x-y',
      '-D',
      '--',
      '--not-mine',
    ]);
  });
});

describe('assignments', () => {
  it('split at the first equals sign', () => {
    expect(parseAssignments('format_option', ['a=b=c', 'd='])).toEqual({ a: 'b=c', d: '' });
    expect(() => parseAssignments('format_option', ['ab'])).toThrow('--format_option must be NAME=VALUE');
  });
});
