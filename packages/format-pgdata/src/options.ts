import type { FormatOptionDescription } from '@neon-snapshot/format-core';

export const READ_OPTIONS: readonly FormatOptionDescription[] = [
  {
    name: 'recover',
    type: 'boolean',
    description:
      'make a crashed or base-backed-up directory consistent in a scratch copy, with the Postgres of its major',
  },
  {
    name: 'verify_checksums',
    type: 'boolean',
    description: 'verify page checksums where the cluster has them (default true)',
  },
  {
    name: 'ignore_page_errors',
    type: 'boolean',
    description: 'report corrupt pages as warnings and keep them as they are',
  },
];

export const WRITE_OPTIONS: readonly FormatOptionDescription[] = [
  {
    name: 'tablespace_mapping',
    type: 'list',
    description: 'OLD=NEW: put the tablespace that was at OLD into the directory NEW',
  },
];
