import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Flags of a page server whose history ends, and whose objects go, as soon as that may happen at all. */
export const AGITATED_FLAGS = ['--pitr_interval=1s', '--gc_grace=3s'] as const;

/** How often what was done. */
export interface Agitation extends AsyncDisposable {
  readonly compactions: number;
  readonly collections: number;
}

const PAUSE_MS = 100;
const ANSWER_MAX_MS = 60_000;
const COMPACTION = 'force_l0_compaction=true&force_image_layer_creation=true';

/** Has whatever page server runs in a directory merge its layers, make images and collect garbage all the time. */
export function agitate(directory: string): Agitation {
  const ended = new AbortController();
  const counts = { compactions: 0, collections: 0 };
  const working = (async () => {
    while (!ended.signal.aborted) {
      // None runs, or it was killed in between.
      await agitateOnce(directory, counts, ended.signal).catch(() => undefined);
      await sleep(PAUSE_MS);
    }
  })();
  return {
    get compactions() {
      return counts.compactions;
    },
    get collections() {
      return counts.collections;
    },
    async [Symbol.asyncDispose]() {
      ended.abort();
      await working;
    },
  };
}

async function agitateOnce(
  directory: string,
  counts: { compactions: number; collections: number },
  ended: AbortSignal,
): Promise<void> {
  const state: unknown = JSON.parse(await readFile(path.join(directory, '.neon/pageserver.json'), 'utf8'));
  const { httpPort, tenantId } = state as { readonly httpPort: number; readonly tenantId: string };
  const timelinesUrl = `http://127.0.0.1:${httpPort}/v1/tenant/${tenantId}/timeline`;
  const call = async (url: string, init: RequestInit = {}): Promise<unknown> => {
    const answer = await fetch(url, {
      ...init,
      signal: AbortSignal.any([ended, AbortSignal.timeout(ANSWER_MAX_MS)]),
    });
    const body: unknown = await answer.json();
    if (!answer.ok) throw new Error(`${url}: ${answer.status} ${JSON.stringify(body)}`);
    return body;
  };
  const timelines = (await call(timelinesUrl)) as readonly { readonly timeline_id: string }[];
  for (const { timeline_id: timelineId } of timelines) {
    await call(`${timelinesUrl}/${timelineId}/compact?${COMPACTION}`, { method: 'PUT' });
    counts.compactions += 1;
    await call(`${timelinesUrl}/${timelineId}/do_gc`, {
      method: 'PUT',
      body: JSON.stringify({ gc_horizon: 0 }),
    });
    counts.collections += 1;
  }
}
