import { ReusableMemory } from '@neon-snapshot/format-core';
import { BATCH_PAGES_MAX, PAGE_BLOB_SIZE_MAX } from '@neon-snapshot/neon-layer';

/** Memory for batches of pages: stored blobs come in, pages go out in their place. */
export class PageBuffers extends ReusableMemory {
  constructor() {
    super({ sizeBytes: BATCH_PAGES_MAX * PAGE_BLOB_SIZE_MAX });
  }
}
