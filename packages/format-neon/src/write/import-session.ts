import { isFormatError, type WriteContext, type WriteLease } from '@neon-snapshot/format-core';
import { indexObjectKey, layerObjectKey, UNSHARDED } from '@neon-snapshot/neon-layer';
import { clusterObjectKeys } from '../cluster-objects.ts';
import type { WriteOptions } from '../options.ts';
import { claimDestination, dropClaim } from './claim-destination.ts';
import type { ImportChoice } from './find-import.ts';
import {
  encodeJournal,
  type ImportIds,
  type ImportLayout,
  type ImportSource,
  journalKey,
} from './import-journal.ts';
import { LayerPublisher } from './layer-publisher.ts';
import { LAYER_PUTS_MAX } from './memory-plan.ts';
import { listStoredLayers, type StoredLayer } from './stored-layers.ts';
import { assertVacant } from './vacancy.ts';

export interface ImportSessionOptions {
  readonly context: WriteContext;
  readonly options: WriteOptions;
  readonly choice: ImportChoice;
  readonly source: ImportSource;
  readonly layout: ImportLayout;
  /** Fires when the import is to stop. */
  readonly signal: AbortSignal;
}

/** An import that may write. */
export interface RunningImport extends ImportIds {
  readonly generation: number;
  readonly publisher: LayerPublisher;
  /** Absent where the store, or the caller, has no leases. */
  readonly lease: WriteLease | undefined;
  /** What earlier runs have stored. */
  readonly earlierLayers: readonly StoredLayer[];
  /** Set before the index is put, and taken back where somebody else's was there. */
  hasPutIndex: boolean;
}

/** Where the index of this import lies: no other writer has its generation. */
export function indexKeyOf({ tenantId, timelineId, generation }: RunningImport): string {
  return indexObjectKey({ tenant: { tenantId, shard: UNSHARDED }, timelineId, generation });
}

/**
 * The right of an import to write its timeline, from the first byte written to the end: lease, claim of the destination, journal.
 * Nothing is written before {@link begin}.
 */
export class ImportSession {
  readonly #parts: ImportSessionOptions;
  #begun: Promise<RunningImport> | undefined;
  #running: RunningImport | undefined;

  constructor(parts: ImportSessionOptions) {
    this.#parts = parts;
  }

  /** Undefined until {@link begin} has succeeded. */
  get running(): RunningImport | undefined {
    return this.#running;
  }

  /**
   * Takes the right to write, once. Rejects with the error of the lease while another writer lives, and with
   * `FORMAT_NOT_EMPTY` when one has been faster; then nothing of this import is left.
   */
  begin(): Promise<RunningImport> {
    this.#begun ??= this.#begin();
    return this.#begun;
  }

  /** Right before anything becomes visible: rejects when another writer has taken over. */
  async assertMayPublish(): Promise<void> {
    await this.#running?.lease?.assertHeld({ signal: this.#parts.signal });
  }

  /** After something became visible: rejects when it was too late for that. */
  async assertWasHeld(): Promise<void> {
    const lease = this.#running?.lease;
    // A store that does not answer now says nothing against what it has stored.
    await lease?.assertHeld({ signal: this.#parts.signal }).catch(() => undefined);
    if (lease?.signal.aborted === true) throw lease.signal.reason;
  }

  /** The error to report: a lost lease is why everything else failed. */
  explain(error: unknown): unknown {
    const signal = this.#running?.lease?.signal;
    return signal?.aborted === true ? signal.reason : error;
  }

  /** After the index is there: removes what only an interrupted import needs. Failures are warnings. */
  async finish(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    const { context, choice } = this.#parts;
    const { publisher, earlierLayers, lease } = running;
    const superseded = earlierLayers.filter((layer) => !publisher.refersTo(layer));
    try {
      await context.storage.delete([...superseded.map(({ key }) => key), journalKey(running)]);
      if (choice.needsClaim) await dropClaim(context.storage, running);
    } catch (error) {
      context.services.warn(
        `what an interrupted import would need could not be removed: ${messageOf(error)}`,
      );
    }
    await lease?.release();
  }

  /**
   * Removes everything that this import and the runs before it have put, the index first, without which nothing is visible.
   * Where another writer has taken over, all but that is now its own.
   */
  async abandon(): Promise<void> {
    await this.#begun?.catch(() => undefined);
    const running = this.#running;
    if (running === undefined) return;
    const { context, choice } = this.#parts;
    const { storage, services } = context;
    const { publisher, earlierLayers, lease } = running;
    await publisher.settle();
    try {
      if (running.hasPutIndex) await storage.delete([indexKeyOf(running)]);
      await lease?.assertHeld();
      const layers = new Set([...publisher.keys(), ...earlierLayers.map(({ key }) => key)]);
      await storage.delete([...clusterObjectKeys(running.tenantId), ...layers, journalKey(running)]);
      if (choice.needsClaim) await dropClaim(storage, running);
      await lease?.release({ forget: true });
    } catch (error) {
      services.warn(`objects of the aborted import were not removed: ${messageOf(error)}`);
      await lease?.release();
    }
  }

  async #begin(): Promise<RunningImport> {
    const { context, options, choice, source, layout, signal } = this.#parts;
    const { storage } = context;
    const { tenantId, timelineId } = choice;
    const lease = await this.#acquireLease(options.takeOver);
    const generation = lease?.generation ?? options.generation;
    try {
      if (choice.needsClaim) await claimDestination({ context, choice, signal });
      await assertVacant(context, options);
      const ids = { tenantId, timelineId };
      await storage.put(journalKey(ids), encodeJournal({ ...ids, source, layout }), { signal });
      const earlierLayers = await listStoredLayers(storage, ids, signal);
      const publisher = new LayerPublisher({
        storage,
        generation,
        keyOf: (layerName) => layerObjectKey({ ...ids, layerName, generation }),
        earlierLayers,
        putCountMax: LAYER_PUTS_MAX,
        signal: lease === undefined ? signal : AbortSignal.any([signal, lease.signal]),
      });
      this.#running = { ...ids, generation, publisher, lease, earlierLayers, hasPutIndex: false };
      return this.#running;
    } catch (error) {
      await this.#giveUp(lease, error);
      throw error;
    }
  }

  async #acquireLease(takeOver: boolean): Promise<WriteLease | undefined> {
    const { context, options, choice, signal } = this.#parts;
    const { storage, services } = context;
    const { ifMatch, ifNoneMatch } = storage.capability.conditionalPut;
    if (!ifMatch || !ifNoneMatch || services.acquireLease === undefined) return undefined;
    const directory = `neon-snapshot/${choice.tenantId}`;
    return services.acquireLease({ storage, directory, generationMin: options.generation, takeOver, signal });
  }

  /** Undoes a beginning: the journal stays only where it was before, and the lease where there is a tenant. */
  async #giveUp(lease: WriteLease | undefined, reason: unknown): Promise<void> {
    const { context, choice } = this.#parts;
    try {
      await lease?.assertHeld();
      if (choice.journal === undefined) await context.storage.delete([journalKey(choice)]);
      if (choice.needsClaim && choice.journal === undefined) await dropClaim(context.storage, choice);
    } catch (error) {
      context.services.warn(`the beginnings of an import were not removed: ${messageOf(error)}`);
    }
    const isTenantThere =
      isFormatError(reason, 'FORMAT_NOT_EMPTY') && reason.context.tenantId === choice.tenantId;
    await lease?.release({ forget: choice.journal === undefined && !isTenantThere });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
