import { expect, test } from 'vitest';
import { PageFaultPolicy } from './page-error.ts';

const FAULT = { path: 'base/5/1259.1', blockNumber: 131075, expected: 4711, found: 0 };

test('the first corrupt page ends the copy, naming file, block, expected and found', () => {
  const policy = new PageFaultPolicy({ ignore: false, warn: () => undefined });
  expect(() => policy.report(FAULT)).toThrow(
    expect.objectContaining({
      code: 'FORMAT_CORRUPT_PAGE',
      context: FAULT,
      message: expect.stringContaining('base/5/1259.1, block 131075: expected checksum 4711, found 0'),
    }),
  );
});

test('ignored faults give 20 warnings and one that counts the rest', () => {
  const warnings: string[] = [];
  const policy = new PageFaultPolicy({ ignore: true, warn: (message) => warnings.push(message) });
  for (let block = 0; block < 25; block++) policy.report({ ...FAULT, blockNumber: block });
  policy.summarize();
  expect(policy.faultCount).toBe(25);
  expect(warnings).toHaveLength(21);
  expect(warnings.at(-1)).toBe('5 more corrupt pages were kept as they are');
});
