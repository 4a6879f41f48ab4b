import type { PageServer } from '../page-server/page-server.ts';
import type { Timeline } from '../timeline/timeline.ts';
import { knownLogicalSize, layerSizes, residentBytes } from './timeline-sizes.ts';

type MetricType = 'counter' | 'gauge' | 'histogram';

interface Metric {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** One value a timeline. */
  readonly read: (timeline: Timeline, pageServer: PageServer) => number;
}

const TIMELINE_METRICS: readonly Metric[] = [
  {
    name: 'pageserver_last_record_lsn',
    type: 'gauge',
    help: 'End of the last WAL record that can be read',
    read: (timeline) => Number(timeline.lastRecordLsn),
  },
  {
    name: 'pageserver_durable_lsn',
    type: 'gauge',
    help: 'Up to here the storage has everything, as layers or raw WAL',
    read: (timeline) => Number(timeline.durableLsn),
  },
  {
    name: 'pageserver_disk_consistent_lsn',
    type: 'gauge',
    help: 'Up to here the storage has everything as layers',
    read: (timeline) => Number(timeline.diskConsistentLsn),
  },
  {
    name: 'pageserver_push_lag_bytes',
    type: 'gauge',
    help: 'WAL that the storage does not have yet',
    read: ({ pushState }) => pushState.lagBytes,
  },
  {
    name: 'pageserver_push_lag_seconds',
    type: 'gauge',
    help: 'How old the oldest WAL is that the storage does not have yet',
    read: ({ pushState }) =>
      pushState.behindSince ? Math.max(0, Date.now() - pushState.behindSince.getTime()) / 1000 : 0,
  },
  {
    name: 'pageserver_storage_failing',
    type: 'gauge',
    help: '1 while the storage does not take what is pushed',
    read: ({ pushState }) => (pushState.failure ? 1 : 0),
  },
  {
    name: 'pageserver_layers',
    type: 'gauge',
    help: 'Layers of the timeline',
    read: (timeline) => layerSizes(timeline).count,
  },
  {
    name: 'pageserver_layer_bytes',
    type: 'gauge',
    help: 'Bytes of these layers',
    read: (timeline) => layerSizes(timeline).allBytes,
  },
  {
    name: 'pageserver_remote_physical_size',
    type: 'gauge',
    help: 'Bytes of the layers that the index in the storage lists',
    read: (timeline) => layerSizes(timeline).remoteBytes,
  },
  {
    name: 'pageserver_resident_physical_size',
    type: 'gauge',
    help: 'Bytes of the layers with a local copy',
    read: (timeline, pageServer) => residentBytes(pageServer, timeline),
  },
  {
    name: 'pageserver_current_logical_size',
    type: 'gauge',
    help: 'Bytes of all relations when somebody asked last; 0 before',
    read: (timeline) => knownLogicalSize(timeline)?.sizeBytes ?? 0,
  },
  {
    name: 'pageserver_timeline_memory_bytes',
    type: 'gauge',
    help: 'Values and WAL in memory',
    read: ({ metrics }) => metrics.memoryBytes,
  },
  {
    name: 'pageserver_wal_received_bytes_total',
    type: 'counter',
    help: 'WAL received',
    read: ({ metrics }) => metrics.walBytesReceived,
  },
  {
    name: 'pageserver_wal_records_ingested_total',
    type: 'counter',
    help: 'WAL records ingested',
    read: ({ metrics }) => metrics.recordsIngested,
  },
  {
    name: 'pageserver_pages_read_total',
    type: 'counter',
    help: 'Pages read',
    read: ({ metrics }) => metrics.pagesRead,
  },
  {
    name: 'pageserver_layers_pushed_total',
    type: 'counter',
    help: 'Layers put into the storage',
    read: ({ metrics }) => metrics.layersPushed,
  },
  {
    name: 'pageserver_layer_pushed_bytes_total',
    type: 'counter',
    help: 'Bytes of layers put into the storage',
    read: ({ metrics }) => metrics.layerBytesPushed,
  },
  {
    name: 'pageserver_tail_chunks_pushed_total',
    type: 'counter',
    help: 'Objects of raw WAL put into the storage',
    read: ({ metrics }) => metrics.tailChunksPushed,
  },
  {
    name: 'pageserver_tail_pushed_bytes_total',
    type: 'counter',
    help: 'Bytes of raw WAL put into the storage',
    read: ({ metrics }) => metrics.tailBytesPushed,
  },
  {
    name: 'pageserver_indexes_pushed_total',
    type: 'counter',
    help: 'Indexes put into the storage',
    read: ({ metrics }) => metrics.indexesPushed,
  },
  {
    name: 'pageserver_storage_failures_total',
    type: 'counter',
    help: 'Calls that the storage failed',
    read: ({ metrics }) => metrics.storageFailures,
  },
];

/** Everything in Prometheus' text format 0.0.4. */
export function formatMetrics(pageServer: PageServer): string {
  const timelines = pageServer.timelines();
  const lines = TIMELINE_METRICS.flatMap(({ name, type, help, read }) => [
    ...head(name, type, help),
    ...timelines.map((timeline) => `${name}${labelsOf(timeline)} ${read(timeline, pageServer)}`),
  ]);
  const others = [walSourceLines, maintenanceLines, queryLines, serverLines].flatMap((each) =>
    each(pageServer),
  );
  return `${[...lines, ...others].join('\n')}\n`;
}

function walSourceLines(pageServer: PageServer): string[] {
  const name = 'pageserver_wal_source_streaming';
  return [
    ...head(name, 'gauge', '1 while WAL is received'),
    ...pageServer.timelines().map((timeline) => {
      const isStreaming = pageServer.walSource(timeline.timelineId)?.state === 'streaming';
      return `${name}${labelsOf(timeline)} ${isStreaming ? 1 : 0}`;
    }),
  ];
}

const MAINTENANCE_METRICS = [
  ['pageserver_maintenance_runs_total', 'Runs of compaction and garbage collection', 'runs'],
  ['pageserver_maintenance_failures_total', 'Runs that failed', 'failures'],
  ['pageserver_l0_layers_compacted_total', 'L0 layers merged into L1 layers', 'l0LayersCompacted'],
  ['pageserver_layers_collected_total', 'Layers that no readable LSN needs any more', 'layersCollected'],
  ['pageserver_objects_deleted_total', 'Objects deleted from the storage', 'objectsDeleted'],
] as const;

function maintenanceLines(pageServer: PageServer): string[] {
  return MAINTENANCE_METRICS.flatMap(([name, help, counter]) => [
    ...head(name, 'counter', help),
    ...pageServer.timelines().flatMap((timeline) => {
      const counters = pageServer.maintenance(timeline.timelineId)?.counters;
      return counters === undefined ? [] : [`${name}${labelsOf(timeline)} ${counters[counter]}`];
    }),
  ]);
}

function queryLines(pageServer: PageServer): string[] {
  const name = 'pageserver_smgr_query_seconds_global';
  const help = 'How long requests of the pagestream took, waiting included';
  return [...head(name, 'histogram', help), ...pageServer.queryTimes.lines(name)];
}

function serverLines(pageServer: PageServer): string[] {
  const { cache, memoryBytes, memoryBytesMax } = pageServer.resources;
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const gauges: readonly (readonly [name: string, help: string, value: number, type?: MetricType])[] = [
    ['pageserver_generation', 'Generation of everything that is written', pageServer.generation],
    ['pageserver_fenced', '1 when another process writes the tenant', pageServer.signal.aborted ? 1 : 0],
    ['pageserver_memory_bytes', 'Values and WAL in memory, all timelines', memoryBytes],
    ['pageserver_memory_limit_bytes', 'Where no more WAL is taken', memoryBytesMax],
    ['pageserver_cache_bytes', 'Local copies of layers', cache.sizeBytes],
    ['pageserver_cache_layers', 'Layers with a local copy', cache.layerCount],
    ['pageserver_cache_hits_total', 'Layer reads with a local copy', cache.hits, 'counter'],
    ['pageserver_cache_misses_total', 'Layer reads that needed a download', cache.misses, 'counter'],
    ['process_resident_memory_bytes', 'Resident memory', rss],
    ['nodejs_heap_used_bytes', 'Used heap', heapUsed],
    ['process_cpu_seconds_total', 'User and system time', (user + system) / 1e6, 'counter'],
  ];
  return gauges.flatMap(([name, help, value, type = 'gauge']) => [
    ...head(name, type, help),
    `${name} ${value}`,
  ]);
}

function head(name: string, type: MetricType, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function labelsOf({ tenantId, timelineId }: Timeline): string {
  return `{tenant_id="${tenantId}",timeline_id="${timelineId}"}`;
}
