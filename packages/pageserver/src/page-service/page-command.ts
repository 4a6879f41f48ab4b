import { parseTenantShardId } from '@neon-snapshot/neon-layer';
import { isPostgresFormatError, type Lsn, parseLsn } from '@neon-snapshot/postgres';
import { PageServerError } from '../page-server-error.ts';
import type { PagestreamVersion } from './pagestream-messages.ts';

interface OfTimeline {
  readonly tenantId: string;
  readonly timelineId: string;
}

/** A command of the page service. */
export type PageCommand =
  | (OfTimeline & { readonly kind: 'pagestream'; readonly version: PagestreamVersion })
  | (OfTimeline & {
      readonly kind: 'basebackup';
      readonly lsn: Lsn | undefined;
      readonly gzip: boolean;
      readonly replica: boolean;
    })
  | (OfTimeline & {
      readonly kind: 'fullbackup';
      readonly lsn: Lsn | undefined;
      readonly prevLsn: Lsn | undefined;
    })
  | (OfTimeline & { readonly kind: 'lease'; readonly lsn: Lsn })
  | { readonly kind: 'set' };

const ID = /^[0-9a-fA-F]{32}$/;

/**
 * `pagestream_v2|v3 TENANT TIMELINE`, `basebackup TENANT TIMELINE [LSN|latest] [--gzip] [--replica]`,
 * `fullbackup TENANT TIMELINE [LSN] [PREV]`, `lease lsn TENANT TIMELINE LSN`, `set …`.
 * Throws `PAGESERVER_INVALID_ARGUMENT`.
 */
export function parsePageCommand(sql: string): PageCommand {
  const [name = '', ...rest] = sql.trim().replace(/;$/, '').split(/\s+/);
  switch (name.toLowerCase()) {
    case 'pagestream_v2':
    case 'pagestream_v3':
      return { kind: 'pagestream', version: name.endsWith('3') ? 3 : 2, ...timelineOf(name, rest, 2) };
    case 'basebackup':
      return parseBaseBackup(rest);
    case 'fullbackup': {
      const [, , lsn, prevLsn] = rest;
      const timeline = timelineOf(name, rest, 4);
      return {
        kind: 'fullbackup',
        ...timeline,
        lsn: lsn === undefined || lsn === 'latest' ? undefined : lsnOf(lsn),
        prevLsn: prevLsn === undefined ? undefined : lsnOf(prevLsn),
      };
    }
    case 'lease': {
      const [what, ...ofLease] = rest;
      if (what?.toLowerCase() !== 'lsn') throw invalid(`unknown lease "${what}"; lease lsn is known`);
      return { kind: 'lease', ...timelineOf('lease lsn', ofLease, 3), lsn: lsnOf(ofLease[2] ?? '') };
    }
    case 'set':
      return { kind: 'set' };
    default:
      throw invalid(
        `unknown command "${name.slice(0, 40)}"; pagestream_v2, pagestream_v3, basebackup, fullbackup, lease lsn and set are known`,
      );
  }
}

function parseBaseBackup(rest: readonly string[]): PageCommand {
  const flags = rest.filter((word) => word.startsWith('--'));
  const words = rest.filter((word) => !word.startsWith('--'));
  for (const flag of flags)
    if (flag !== '--gzip' && flag !== '--replica')
      throw invalid(`basebackup has no option ${flag.slice(0, 40)}`);
  const lsn = words[2];
  return {
    kind: 'basebackup',
    ...timelineOf('basebackup', words, 3),
    lsn: lsn === undefined || lsn === 'latest' ? undefined : lsnOf(lsn),
    gzip: flags.includes('--gzip'),
    replica: flags.includes('--replica'),
  };
}

function timelineOf(command: string, words: readonly string[], wordsMax: number): OfTimeline {
  const [tenant = '', timeline = ''] = words;
  if (words.length > wordsMax)
    throw invalid(`${command} has ${words.length} arguments; at most ${wordsMax} are known`);
  if (!ID.test(timeline))
    throw invalid(`${command} names no timeline: expected 32 hex digits behind the tenant's`);
  return { tenantId: tenantOf(command, tenant), timelineId: timeline.toLowerCase() };
}

/** Also in the form with a shard, of an unsharded tenant. */
function tenantOf(command: string, text: string): string {
  if (ID.test(text)) return text.toLowerCase();
  try {
    return parseTenantShardId(text.toLowerCase()).tenantId;
  } catch {
    throw invalid(`${command} names no tenant: expected 32 hex digits`);
  }
}

function lsnOf(text: string): Lsn {
  try {
    return parseLsn(text);
  } catch (error) {
    if (isPostgresFormatError(error))
      throw invalid(`"${text.slice(0, 40)}" is no LSN; expected one such as 0/16B3748`);
    throw error;
  }
}

function invalid(message: string): PageServerError {
  return new PageServerError({ code: 'PAGESERVER_INVALID_ARGUMENT', operation: 'page service', message });
}
