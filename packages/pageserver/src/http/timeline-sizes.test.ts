import { readFileSync } from 'node:fs';
import type { Storage } from '@neon-snapshot/storage-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PageServer } from '../page-server/page-server.ts';
import { callTo } from '../testing/http-call.ts';
import { createManualClock } from '../testing/manual-clock.ts';
import { makeStateDirectory, openTestServer } from '../testing/memory-server.ts';
import {
  HAS_SAMPLES,
  SAMPLES_DIRECTORY,
  SAMPLES_NOTE,
  sampleFacts,
  sampleStorage,
} from '../testing/sample-timelines.ts';
import { type ListeningService, startHttpServer } from './start-http-server.ts';

const SAMPLE = 'pg17';
/** Image layers behind the end, which a page server drops when it attaches: the real one made them afterwards. */
const FUTURE_BYTES = new Map([['17202020202020202020202020202020', 7_938_048]]);
const EXACT = '?include-non-incremental-logical-size=true';

/** What the real page server said of a timeline. */
interface RealInfo {
  readonly timeline_id: string;
  readonly last_record_lsn: string;
  readonly current_logical_size: number;
  readonly current_physical_size: number;
  readonly directory_entries_counts: readonly number[];
}

function physicalSize({ timeline_id, current_physical_size }: RealInfo): number {
  return current_physical_size - (FUTURE_BYTES.get(timeline_id) ?? 0);
}

describe.runIf(HAS_SAMPLES)(`the sizes of a real page server's timelines${SAMPLES_NOTE}`, () => {
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let storage: Storage;
  let pageServer: PageServer;
  let service: ListeningService;
  let real: readonly RealInfo[];
  const { tenant } = sampleFacts(SAMPLE);
  const timelines = async (query = '') => {
    const answer = await callTo(service, { path: `/v1/tenant/${tenant}/timeline${query}` });
    const infos: readonly RealInfo[] = Object(answer.value);
    return new Map(infos.map((info) => [info.timeline_id, info]));
  };

  beforeAll(async () => {
    real = JSON.parse(readFileSync(`${SAMPLES_DIRECTORY}/${SAMPLE}/expected/timelines.json`, 'utf8'));
    state = await makeStateDirectory();
    storage = await sampleStorage(SAMPLE);
    // Time stands still: nothing is compacted meanwhile.
    const clock = createManualClock(new Date('2026-11-24T10:00:00Z'));
    pageServer = await openTestServer({ storage, tenantId: tenant, stateDirectory: state.path, clock });
    service = await startHttpServer({ pageServer, host: '127.0.0.1', port: 0 });
  });

  afterAll(async () => {
    await service?.[Symbol.asyncDispose]();
    await pageServer?.close();
    await storage?.[Symbol.asyncDispose]();
    await state?.[Symbol.asyncDispose]();
  });

  test('of layers are known at once, what is in the local cache aside', async () => {
    const found = await timelines();
    for (const info of real) {
      const { timeline_id, last_record_lsn } = info;
      const bytes = physicalSize(info);
      expect(found.get(timeline_id)).toMatchObject({
        last_record_lsn,
        current_physical_size: bytes,
        remote_physical_size: bytes,
        current_logical_size: 0,
        current_logical_size_is_accurate: false,
      });
      expect(Object(found.get(timeline_id)).timeline_dir_layer_file_size_sum).toBeLessThan(bytes);
    }
  });

  test('of the database are those that it gave, once somebody asked for them', async () => {
    const found = await timelines(EXACT);
    const again = await timelines();
    for (const { timeline_id, current_logical_size } of real) {
      const exact = { current_logical_size, current_logical_size_is_accurate: true };
      expect(found.get(timeline_id)).toMatchObject({
        ...exact,
        current_logical_size_non_incremental: current_logical_size,
      });
      expect(again.get(timeline_id)).toMatchObject({ ...exact, current_logical_size_non_incremental: null });
    }
    // It counts the relations of the database that changed last; databases and SLRU segments as here.
    const counted = real.filter((info) => info.directory_entries_counts.some((count) => count > 0));
    expect(counted.length).toBe(1);
    for (const { timeline_id, directory_entries_counts: counts } of counted)
      expect(again.get(timeline_id)?.directory_entries_counts).toEqual(counts.with(2, expect.any(Number)));
  });

  test('are among the metrics', async () => {
    await timelines(EXACT);
    const text = (await callTo(service, { path: '/metrics' })).bytes.toString();
    for (const info of real) {
      const { timeline_id, current_logical_size } = info;
      const labels = `{tenant_id="${tenant}",timeline_id="${timeline_id}"}`;
      expect(text).toContain(`pageserver_current_logical_size${labels} ${current_logical_size}\n`);
      expect(text).toContain(`pageserver_remote_physical_size${labels} ${physicalSize(info)}\n`);
      expect(text).toMatch(new RegExp(`pageserver_resident_physical_size\\{[^}]*${timeline_id}"\\} [1-9]`));
    }
  });

  test('a flag of the query that is neither true nor false is refused', async () => {
    const path = `/v1/tenant/${tenant}/timeline?force-await-initial-logical-size=1`;
    expect((await callTo(service, { path })).status).toBe(400);
  });
});
