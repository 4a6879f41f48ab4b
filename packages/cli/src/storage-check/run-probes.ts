import { isStorageError, type Storage } from '@neon-snapshot/storage-core';
import { allKeys, MissingAbility, PROBES, type Probe, type ProbeContext, type ProbeNeed } from './probes.ts';

export interface ProbeResult {
  readonly name: string;
  readonly outcome: 'works' | 'missing' | 'failed';
  /** What was seen instead; empty where it works. */
  readonly detail: string;
  /** What that costs the user; empty where it works. */
  readonly cost: string;
  readonly need: ProbeNeed;
}

/** What the store can be used for. */
export interface StoreUses {
  /** Snapshots can be copied from and to it. */
  readonly snapshots: boolean;
  /** `neon init` and `neon start` take it; `unsafe`: only with `--unsafe_no_lease`. */
  readonly storageDest: 'yes' | 'unsafe' | 'no';
}

/** Tries every verb of the port on an empty scratch storage and leaves it empty. */
export async function runStorageProbes(
  storage: Storage,
  signal: AbortSignal,
): Promise<readonly ProbeResult[]> {
  const results: ProbeResult[] = [];
  try {
    for (const probe of PROBES) results.push(await runProbe(probe, { storage, signal }));
  } finally {
    await allKeys(storage)
      .then((keys) => storage.delete(keys))
      .catch(() => undefined);
  }
  return results;
}

export function usesOf(results: readonly ProbeResult[]): StoreUses {
  const lacks = (need: ProbeNeed) => results.some((each) => each.need === need && each.outcome !== 'works');
  const snapshots = !lacks('everything');
  if (!snapshots || lacks('storage_dest')) return { snapshots, storageDest: 'no' };
  return { snapshots, storageDest: lacks('two writers') ? 'unsafe' : 'yes' };
}

async function runProbe(probe: Probe, context: ProbeContext): Promise<ProbeResult> {
  const { name, need, cost } = probe;
  try {
    await probe.run(context);
    return { name, need, outcome: 'works', detail: '', cost: '' };
  } catch (error) {
    if (context.signal.aborted) throw error;
    const isMissing = error instanceof MissingAbility || isStorageError(error, 'STORAGE_UNSUPPORTED');
    const detail = error instanceof Error ? error.message : String(error);
    return { name, need, outcome: isMissing && need !== 'everything' ? 'missing' : 'failed', detail, cost };
  }
}
