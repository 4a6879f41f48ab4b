import type { PageServerState } from '@neon-snapshot/pageserver-runner';
import type { JsonValue } from '../output/writer.ts';

/** What `--json` shows of a page server; `ended` tells why one ended by itself. */
export function pageServerData(state: PageServerState): { readonly [key: string]: JsonValue } {
  return { ...state, ended: state.ended ?? null };
}
