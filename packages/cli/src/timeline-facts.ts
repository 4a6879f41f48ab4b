import type { TimelineListing } from '@neon-snapshot/format-neon';
import { formatLsn } from '@neon-snapshot/postgres';
import { formatBytes } from './output/units.ts';
import type { JsonValue } from './output/writer.ts';

/** A timeline as every `--json` result shows it. LSNs are text; what an incomplete timeline lacks is null. */
export function timelineData(timeline: TimelineListing): { readonly [key: string]: JsonValue } {
  const { index } = timeline;
  return {
    tenantId: timeline.tenantId,
    timelineId: timeline.timelineId,
    state: timeline.state,
    shardCount: timeline.shardCount,
    generation: index?.generation ?? null,
    postgresMajor: index?.postgresMajor ?? null,
    lsn: index === undefined ? null : formatLsn(index.endLsn),
    gcCutoffLsn: index === undefined ? null : formatLsn(index.gcCutoffLsn),
    ancestorTimelineId: index?.ancestorTimelineId ?? null,
    ancestorLsn: index?.ancestorTimelineId === undefined ? null : formatLsn(index.ancestorLsn),
    layerCount: index?.layerCount ?? null,
    layerBytes: index?.layerBytes ?? null,
  };
}

export const TIMELINE_HEADER = ['TENANT', 'TIMELINE', 'STATE', 'POSTGRES', 'LSN', 'LAYERS', 'SIZE'] as const;

export function timelineRow(timeline: TimelineListing): string[] {
  const { index } = timeline;
  return [
    timeline.tenantId,
    timeline.timelineId,
    timeline.state,
    index === undefined ? '-' : String(index.postgresMajor),
    index === undefined ? '-' : formatLsn(index.endLsn),
    index === undefined ? '-' : String(index.layerCount),
    index === undefined ? '-' : formatBytes(index.layerBytes),
  ];
}
