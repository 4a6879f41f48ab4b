import { S3Error } from './s3-error.ts';

/** `[start, end)` of a `Range` header; undefined without one. */
export function parseRange(
  header: string | undefined,
  sizeBytes: number,
): { readonly start: number; readonly end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  const isSuffix = match[1] === '';
  const start = isSuffix ? Math.max(sizeBytes - Number(match[2]), 0) : Number(match[1]);
  const end = isSuffix || match[2] === '' ? sizeBytes : Math.min(Number(match[2]) + 1, sizeBytes);
  if (start >= sizeBytes || end <= start)
    throw new S3Error(416, 'InvalidRange', 'The requested range is not satisfiable', {
      details: { ActualObjectSize: String(sizeBytes) },
      headers: { 'content-range': `bytes */${sizeBytes}` },
    });
  return { start, end };
}
