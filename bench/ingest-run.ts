// A page server takes the WAL of a directory over an import of its base, and pushes everything; prints what it took as JSON:
//   node --conditions=@neon-snapshot/source ingest-run.ts DIRECTORY END-LSN-DECIMAL [PIECE-BYTES]
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { listTenants, listTimelines } from '@neon-snapshot/neon-layer';
import { PageServer } from '@neon-snapshot/pageserver';
import { type Lsn, lsn, WAL_SEGMENT_SIZE_DEFAULT, walSegmentFileName } from '@neon-snapshot/postgres';
import { acquireLease } from '@neon-snapshot/repository';
import { openFsStorage } from '@neon-snapshot/storage-fs';

/** What a walsender puts into a message at most, and what it sends while there is much; at every commit it sends what there is. */
const PIECE_BYTES_MAX = 128 * 1024;
const SEGMENT_SIZE = WAL_SEGMENT_SIZE_DEFAULT;

let segment: { readonly name: string; readonly bytes: Uint8Array } | undefined;

const [directory = '.', endText = '0', pieceText = String(PIECE_BYTES_MAX)] = process.argv.slice(2);
const end = lsn(BigInt(endText));
const pieceBytes = Number(pieceText);
const [bucket, state] = [join(directory, 'bucket-run'), join(directory, 'state')];
rmSync(bucket, { recursive: true, force: true });
rmSync(state, { recursive: true, force: true });
cpSync(join(directory, 'bucket'), bucket, { recursive: true });
mkdirSync(state);
await using storage = await openFsStorage({ rootPath: bucket });
const [tenant] = await listTenants(storage);
const [timelineId = ''] = tenant === undefined ? [] : await listTimelines(storage, tenant);
const tenantId = tenant?.tenantId ?? '';
const place = { storage, directory: `neon-snapshot/${tenantId}`, command: 'bench', generationMin: 2 };
const lease = await acquireLease({ ...place, onExpiry: 'wait', takeOver: true });
const server = await PageServer.open({ storage, tenantId, lease, stateDirectory: state });
const timeline = server.timeline(timelineId);

const start = timeline.lastRecordLsn;
const before = process.cpuUsage();
const startedAt = performance.now();
for (let at: Lsn = start; at < end; ) {
  const piece = pieceAt(at);
  await timeline.ingestWal(piece, at);
  at = lsn(at + BigInt(piece.length));
}
const ingestSeconds = (performance.now() - startedAt) / 1000;
await timeline.push();
const wallSeconds = (performance.now() - startedAt) / 1000;
const { user, system } = process.cpuUsage(before);
const reached = timeline.remoteConsistentLsn;
await server.close();
rmSync(bucket, { recursive: true, force: true });
rmSync(state, { recursive: true, force: true });
const rssPeakBytes = process.resourceUsage().maxRSS * 1024;
const bytes = Number(reached - start);
console.log(
  JSON.stringify({ bytes, ingestSeconds, wallSeconds, cpuSeconds: (user + system) / 1e6, rssPeakBytes }),
);

function pieceAt(at: Lsn): Uint8Array {
  const name = walSegmentFileName(1, Number(at / BigInt(SEGMENT_SIZE)), SEGMENT_SIZE);
  const offset = Number(at % BigInt(SEGMENT_SIZE));
  if (segment?.name !== name) segment = { name, bytes: readFileSync(join(directory, 'pgdata/pg_wal', name)) };
  const length = Math.min(pieceBytes, SEGMENT_SIZE - offset, Number(end - at));
  return new Uint8Array(segment.bytes.subarray(offset, offset + length));
}
