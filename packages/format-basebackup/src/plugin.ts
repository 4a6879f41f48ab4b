import type { FormatPlugin } from '@neon-snapshot/format-core';
import { SUPPORTED_MAJORS } from '@neon-snapshot/postgres';
import { detect } from './detect.ts';
import { openLiveReader } from './live/open-live-reader.ts';
import { LIVE_OPTIONS, READ_OPTIONS, WRITE_OPTIONS } from './options.ts';
import { openReader } from './reader.ts';
import { verify } from './verify.ts';
import { openWriter } from './writer.ts';

/** The format `basebackup`: what `pg_basebackup -Ft` writes, in any storage. */
export const plugin: FormatPlugin = {
  kind: 'format',
  name: 'basebackup',
  capability: {
    holdsWal: true,
    tablespaces: true,
    majors: SUPPORTED_MAJORS,
    reads: true,
    writes: true,
  },
  readOptions: READ_OPTIONS,
  writeOptions: WRITE_OPTIONS,
  liveSchemes: ['postgresql', 'postgres'],
  liveOptions: LIVE_OPTIONS,
  detect,
  openLiveReader,
  openReader,
  verify,
  openWriter,
};
