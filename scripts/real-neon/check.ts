/**
 * Does a real page server give back what an export of the same timeline holds? Asked three times: as attached,
 * after the server was made to write image layers of its own, and after a second attach from what is then stored.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compareBackup } from './compare.ts';
import { writeFullBackup } from './full-backup.ts';
import type { Session } from './session.ts';
import { countLayers, detachTenant, rewriteLayers } from './tenant.ts';

const DIFFERENCES_SHOWN = 20;

export type CheckOptions = {
  readonly timeline: string;
  readonly lsn: string | undefined;
  readonly expected: string;
  /** What Postgres' own recovery made, not our export. */
  readonly isRecovered: boolean;
  /** Where to keep the last backup; it is deleted when absent. */
  readonly out: string | undefined;
};

/** True when all three backups equal the expected directory. */
export async function check(session: Session, options: CheckOptions): Promise<boolean> {
  const target = { tenant: session.tenant.id, timeline: options.timeline };
  const first = await compareOnce(session, options, `generation ${await session.attach()}`);
  await rewriteLayers(session.server, target);
  const second = await compareOnce(session, options, 'after compaction');
  await detachTenant(session.server, target.tenant);
  const third = await compareOnce(session, options, `generation ${await session.attach()}`);
  return first && second && third;
}

async function compareOnce(session: Session, options: CheckOptions, moment: string): Promise<boolean> {
  const target = { tenant: session.tenant.id, timeline: options.timeline };
  const out = options.out ?? join(session.workdir.path, 'fullbackup.tar');
  const layers = await countLayers(session.server, target);
  await writeFullBackup(session.server, { ...target, lsn: options.lsn, out });
  const { equal, differences } = compareBackup({
    backup: out,
    expected: options.expected,
    isRecovered: options.isRecovered,
  });
  if (options.out === undefined) await rm(out);
  console.log(
    `${moment}: ${layers.image} image and ${layers.delta} delta layers; equal: ${equal.relation} relation files, ` +
      `${equal.relmap} relation maps, ${equal.slru} SLRU segments; different: ${differences.length}`,
  );
  for (const line of differences.slice(0, DIFFERENCES_SHOWN)) console.log(`  ${line}`);
  if (differences.length > DIFFERENCES_SHOWN)
    console.log(`  … and ${differences.length - DIFFERENCES_SHOWN} more`);
  return differences.length === 0 && equal.relation > 0;
}
