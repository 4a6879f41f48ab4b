import type { Storage } from '@neon-snapshot/storage-core';
import type { BranchHost, BranchParent } from '../branches/branch-host.ts';
import { PageServerError } from '../page-server-error.ts';
import { MemoryTarget } from './memory-target.ts';

/** A page server for branches: its timelines are {@link MemoryTarget}s. */
export class MemoryHost implements BranchHost {
  readonly bucket: Storage;
  readonly tenantId: string;
  readonly generation: number;
  readonly leased: BranchHost['leased'] = () => [];
  /** Calls of `push`, which has nothing to do here. */
  pushes = 0;
  readonly #targets = new Map<string, MemoryTarget>();

  constructor(options: { readonly bucket: Storage; readonly tenantId: string; readonly generation: number }) {
    this.bucket = options.bucket;
    this.tenantId = options.tenantId;
    this.generation = options.generation;
  }

  target(timelineId: string): MemoryTarget {
    const target = this.#targets.get(timelineId);
    if (target !== undefined) return target;
    throw new PageServerError({
      code: 'PAGESERVER_NOT_FOUND',
      operation: 'find timeline',
      message: `there is no timeline ${timelineId}`,
    });
  }

  timeline(timelineId: string): BranchParent {
    const target = this.target(timelineId);
    const push = async () => {
      this.pushes += 1;
    };
    return {
      timelineId,
      storage: this.bucket,
      push,
      get source() {
        return target.source;
      },
      get lastRecordLsn() {
        return target.source.index.metadata.diskConsistentLsn;
      },
    };
  }

  async addTimeline(timelineId: string): Promise<MemoryTarget> {
    const { bucket: storage, tenantId, generation } = this;
    const target = await MemoryTarget.open({ storage, tenantId, timelineId, generation });
    this.#targets.set(timelineId, target);
    return target;
  }

  async removeTimeline(timelineId: string): Promise<void> {
    this.target(timelineId);
    this.#targets.delete(timelineId);
  }

  async assertHeld(): Promise<void> {}

  now(): Date {
    return new Date('2026-11-24T10:00:00Z');
  }
}
