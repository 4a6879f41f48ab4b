import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

/*
 * Storage written by a real Neon page server. The small fixture is part of the repository, the large samples lie beside it
 * on machines that have them; on CI they must be there.
 */

export const FIXTURE_DIRECTORY: string = fileURLToPath(
  new URL('../../fixtures/pg17-bootstrap/', import.meta.url),
);
const SAMPLES_DIRECTORY = fileURLToPath(new URL('../../../../../shared/data/neon/', import.meta.url));

/** Whether tests on the large samples run. */
export const HAS_SAMPLES: boolean = existsSync(SAMPLES_DIRECTORY) || process.env.CI === 'true';
/** Stands in the name of a skipped suite. */
export const SAMPLES_NOTE: string = HAS_SAMPLES ? '' : ' [skipped: ../shared/data/neon is not there]';

/** Directory of one sample, e.g. `pg17`. */
export function sampleDirectory(name: string): string {
  return `${SAMPLES_DIRECTORY}${name}/`;
}

export const SAMPLE_NAMES: readonly string[] = HAS_SAMPLES ? ['pg14', 'pg15', 'pg16', 'pg17'] : [];

/** All files below a directory whose name passes, as absolute paths. */
export function filesBelow(directory: string, pattern: RegExp): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .sort();
}

/** Rows of a gzipped, tab-separated listing. */
export function readListing(path: string): readonly (readonly string[])[] {
  const text = gunzipSync(readFileSync(path)).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
}

export const INDEX_FILE: RegExp = /^index_part\.json/;
export const MANIFEST_FILE: RegExp = /^tenant-manifest-/;
export const LAYER_FILE: RegExp = /^[0-9A-F]{36}-[0-9A-F]{36}__/;
