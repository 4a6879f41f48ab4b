/** What a storage root holds, read from its object names alone: tenants, timelines, the highest generation. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

export type StoredTenant = {
  readonly id: string;
  /** Timelines that have an index. */
  readonly timelines: readonly string[];
  /** The highest generation in the name of any index, manifest or layer; 0 when none has a suffix. */
  readonly generation: number;
};

const TENANT_ID = /^[0-9a-f]{32}$/;
const GENERATION_SUFFIX = /-([0-9a-f]{8})(?:\.json)?$/;

/** Every unsharded tenant below `root`, in order of its id. Shards (`ID-NNCC`) are left out. */
export async function readStoredTenants(root: string): Promise<readonly StoredTenant[]> {
  const ids = (await listNames(join(root, 'tenants'))).filter((name) => TENANT_ID.test(name));
  return Promise.all(ids.map((id) => readStoredTenant(join(root, 'tenants', id), id)));
}

/** The tenant named, or the only one there is. */
export function chooseTenant(tenants: readonly StoredTenant[], id: string | undefined): StoredTenant {
  const found = id === undefined ? tenants : tenants.filter((tenant) => tenant.id === id);
  const [tenant] = found;
  if (tenant !== undefined && found.length === 1) return tenant;
  const there = tenants.map((one) => one.id).join(', ') || 'none';
  throw new Error(`expected one tenant${id === undefined ? '' : ` ${id}`} in the storage, found: ${there}`);
}

async function readStoredTenant(path: string, id: string): Promise<StoredTenant> {
  const timelines: string[] = [];
  let generation = highestGeneration(await listNames(path));
  for (const timeline of await listNames(join(path, 'timelines'))) {
    const names = await listNames(join(path, 'timelines', timeline));
    if (names.some((name) => name.startsWith('index_part.json'))) timelines.push(timeline);
    generation = Math.max(generation, highestGeneration(names));
  }
  return { id, timelines, generation };
}

/** Layer names end `…-00000002` or, in newer servers, `…-v1-00000002`; an index `index_part.json-00000002`. */
function highestGeneration(names: readonly string[]): number {
  return names.reduce((highest, name) => {
    const digits = GENERATION_SUFFIX.exec(name)?.[1];
    return digits === undefined ? highest : Math.max(highest, Number.parseInt(digits, 16));
  }, 0);
}

async function listNames(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (cause) {
    throw new Error(`not a storage root of a page server: can't list ${path}`, { cause });
  }
}
