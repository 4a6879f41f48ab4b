import { createHash } from 'node:crypto';
import { keyFromHex } from '@neon-snapshot/neon-layer';
import type { Timeline } from '../timeline/timeline.ts';
import { comparableValue, isDirectory, type SamplePhase, type SampleTimeline } from './sample-timeline.ts';

/** Keys whose value is not the one that the real page server listed. */
export async function differences(
  timeline: Timeline,
  phase: SamplePhase,
  { major }: SampleTimeline,
): Promise<readonly string[]> {
  const found: string[] = [];
  const keys = phase.listed.map(([hex]) => keyFromHex(hex));
  const values = await timeline.getMany(keys, phase.lsn);
  const real = await phase.openView();
  for (const [i, [hex, length, digest]] of phase.listed.entries()) {
    const value = values[i];
    if (value === undefined) found.push(`${hex}: none`);
    else if (isDirectory(hex)) {
      const theirs = await real.get(keyFromHex(hex));
      const isSame =
        theirs !== undefined && comparableValue(hex, theirs, major) === comparableValue(hex, value, major);
      if (!isSame) found.push(`${hex}: another directory`);
    } else if (value.length !== length || sha256(value) !== digest) found.push(`${hex}: another value`);
  }
  real.close();
  return found;
}

function sha256(value: Uint8Array): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 32);
}
