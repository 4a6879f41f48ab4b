import type { PageServerState } from '@neon-snapshot/pageserver-runner';

/** What a commit that was acknowledged is worth. */
export function durabilityText({ engine, durability, pushIntervalMs }: PageServerState): string {
  if (engine === 'neon') return "as Neon's page server pushes; it takes WAL from safekeepers only";
  return durability === 'remote'
    ? 'remote: a commit returns once the storage has it'
    : `local: a machine that is lost takes the last ${pushIntervalMs / 1000} s of commits with it (--durability=remote: none)`;
}
