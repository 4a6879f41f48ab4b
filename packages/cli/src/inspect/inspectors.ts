import type { Inspector } from './inspection.ts';
import { inspectLayer } from './layer.ts';
import { inspectIndexPart, inspectTenantManifest } from './neon-objects.ts';
import {
  inspectBackupManifest,
  inspectControlFile,
  inspectRelationMap,
  inspectRelationPage,
  inspectWalSegment,
} from './postgres-files.ts';
import type { InspectKind } from './recognise.ts';

/** How each kind is explained. */
export const INSPECTORS: Readonly<Record<InspectKind, Inspector>> = {
  pg_control: inspectControlFile,
  'wal-segment': inspectWalSegment,
  'relation-page': inspectRelationPage,
  'relation-map': inspectRelationMap,
  'backup-manifest': inspectBackupManifest,
  layer: inspectLayer,
  'index-part': inspectIndexPart,
  'tenant-manifest': inspectTenantManifest,
};
