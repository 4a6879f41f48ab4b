import type { Detection, FormatPlugin } from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { listTenantIds } from './catalog/timelines.ts';
import { READ_OPTIONS, WRITE_OPTIONS } from './options.ts';
import { openReader } from './read/open-reader.ts';
import { verify } from './verify/verify.ts';
import { openWriter } from './write/open-writer.ts';
import { NEON_MAJORS } from './write/source-checks.ts';

/** The format `neon`: a timeline of a Neon page server in remote storage. */
export const plugin: FormatPlugin = {
  kind: 'format',
  name: 'neon',
  capability: {
    holdsWal: true,
    needsPlan: true,
    tablespaces: false,
    majors: NEON_MAJORS,
    reads: true,
    writes: true,
    verifiesPages: true,
  },
  readOptions: READ_OPTIONS,
  writeOptions: WRITE_OPTIONS,
  detect,
  openReader,
  openWriter,
  verify,
};

async function detect(
  storage: Storage,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Detection> {
  const [tenantId] = await listTenantIds(storage, options);
  return tenantId === undefined
    ? { found: false, reason: 'there is no tenants/…/timelines/…/index_part.json' }
    : { found: true, reason: `it holds tenant ${tenantId}` };
}
