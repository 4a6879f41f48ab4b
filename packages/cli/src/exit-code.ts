/** Exit codes of `neon`, documented in the README. */
export const EXIT_CODE = { ok: 0, failed: 1, usage: 2, invalidData: 3, interrupted: 130 } as const;

/** Error codes that say that the data read is wrong or incomplete, as opposed to a failure to get at it. */
const INVALID_DATA = new Set([
  'FORMAT_INVALID',
  'FORMAT_TRUNCATED',
  'FORMAT_CHECKSUM',
  'FORMAT_CORRUPT_PAGE',
  'FORMAT_UNKNOWN_VERSION',
  'STORAGE_TRUNCATED',
  'STORAGE_CHECKSUM_MISMATCH',
]);
const INVALID_DATA_PREFIXES = ['POSTGRES_', 'NEON_LAYER_', 'ARCHIVE_'];
const USAGE = new Set([
  'CLI_USAGE',
  'FORMAT_OPTION',
  'FORMAT_AMBIGUOUS',
  'STORAGE_INVALID_URL',
  'STORAGE_INVALID_OPTION',
  'REPOSITORY_CONFIG_INVALID',
  'PLUGIN_NOT_FOUND',
]);

/** The exit code for an error, by its stable `code`. */
export function exitCodeOf(error: unknown): number {
  const code = errorCodeOf(error);
  if (code === undefined) return isAbort(error) ? EXIT_CODE.interrupted : EXIT_CODE.failed;
  if (code.endsWith('_ABORTED')) return EXIT_CODE.interrupted;
  if (USAGE.has(code)) return EXIT_CODE.usage;
  if (code === 'NEON_LAYER_NEEDS_REDO' || code.startsWith('POSTGRES_PROCESS_')) return EXIT_CODE.failed;
  if (INVALID_DATA.has(code) || INVALID_DATA_PREFIXES.some((prefix) => code.startsWith(prefix)))
    return EXIT_CODE.invalidData;
  return EXIT_CODE.failed;
}

/** The stable code of one of our typed errors. */
function errorCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return error.code;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
