import { RESOURCE_MANAGER } from '@neon-snapshot/postgres';
import { NEON_RMGR } from './heap-layout.ts';
import type { ResourceManager } from './redo-context.ts';
import { brin } from './rmgr/brin.ts';
import { btree } from './rmgr/btree.ts';
import { generic } from './rmgr/generic.ts';
import { gin } from './rmgr/gin.ts';
import { gist } from './rmgr/gist.ts';
import { hash } from './rmgr/hash.ts';
import { heap } from './rmgr/heap.ts';
import { heap2 } from './rmgr/heap2.ts';
import { neonHeap } from './rmgr/neon-heap.ts';
import { sequence } from './rmgr/sequence.ts';
import { spgist } from './rmgr/spgist.ts';
import { xlog } from './rmgr/xlog.ts';

/** The resource managers whose records change pages; other ids of rmgrlist.h have no block references. */
export const RESOURCE_MANAGERS: ReadonlyMap<number, ResourceManager> = new Map([
  [RESOURCE_MANAGER.xlog, xlog],
  [RESOURCE_MANAGER.heap2, heap2],
  [RESOURCE_MANAGER.heap, heap],
  [RESOURCE_MANAGER.btree, btree],
  [RESOURCE_MANAGER.hash, hash],
  [RESOURCE_MANAGER.gin, gin],
  [RESOURCE_MANAGER.gist, gist],
  [RESOURCE_MANAGER.sequence, sequence],
  [RESOURCE_MANAGER.spGist, spgist],
  [RESOURCE_MANAGER.brin, brin],
  [RESOURCE_MANAGER.generic, generic],
  [NEON_RMGR, neonHeap],
]);

const byId: (ResourceManager | undefined)[] = [];
const knownOperations = new Uint8Array(256 * 256);
for (const [id, manager] of RESOURCE_MANAGERS) {
  byId[id] = manager;
  const operations = new Set(Object.values(manager.operations));
  for (let info = 0; info < 256; info++) {
    if (operations.has(info & manager.operationMask)) knownOperations[id * 256 + info] = 1;
  }
}

/** The resource manager that redoes records of this id and info, or `undefined`. */
export function resourceManagerFor(id: number, info: number): ResourceManager | undefined {
  return knownOperations[id * 256 + info] === 1 ? byId[id] : undefined;
}

/** `Heap/insert`: resource manager and operation in our words; `undefined` for an operation that has no redo. */
export function operationName(id: number, info: number): string | undefined {
  const manager = resourceManagerFor(id, info);
  if (manager === undefined) return undefined;
  const bits = info & manager.operationMask;
  return Object.entries(manager.operations).find(([, operation]) => operation === bits)?.[0];
}
