import { formatTable } from '../output/table.ts';
import { formatBytes } from '../output/units.ts';
import type { CommandResult } from '../output/writer.ts';
import { loadNeonFormat } from '../plugins.ts';
import { openStorageDest, storageDestUrl } from '../repository.ts';
import type { Session } from '../session.ts';

/** `neon tenant ls`: the tenants of `storage_dest` with their timelines summed up. */
export async function run(session: Session): Promise<CommandResult> {
  await using storage = await openStorageDest(session, { access: 'read' });
  const { listTimelines } = await loadNeonFormat();
  const timelines = await listTimelines(storage, { signal: session.signal });
  const tenants = [...Map.groupBy(timelines, (timeline) => timeline.tenantId)].map(([tenantId, own]) => ({
    tenantId,
    timelines: own.filter((timeline) => timeline.state !== 'incomplete').length,
    incompleteTimelines: own.filter((timeline) => timeline.state === 'incomplete').length,
    shardCount: Math.max(...own.map((timeline) => timeline.shardCount)),
    layerBytes: own.reduce((sum, timeline) => sum + (timeline.index?.layerBytes ?? 0), 0),
  }));
  return {
    command: 'tenant ls',
    lines:
      tenants.length === 0
        ? [`no tenant in ${storage.url}`]
        : formatTable(
            ['TENANT', 'TIMELINES', 'INCOMPLETE', 'SHARDS', 'SIZE'],
            tenants.map((tenant) => [
              tenant.tenantId,
              String(tenant.timelines),
              String(tenant.incompleteTimelines),
              String(tenant.shardCount),
              formatBytes(tenant.layerBytes),
            ]),
          ),
    data: { storageDest: await storageDestUrl(session), tenants },
  };
}
