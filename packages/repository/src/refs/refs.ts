import { randomBytes } from 'node:crypto';
import type { Storage } from '@neon-snapshot/storage-core';
import { RepositoryError } from '../repository-error.ts';
import { assertRefName, isRefName, type RefKind } from './ref-name.ts';
import { type RefCall, RefObject, type StoredRef } from './ref-object.ts';
import type { BranchRef, RefRecord, SnapshotRef } from './ref-record.ts';

/** Conflicting changes of one name that are looked at anew before giving up. */
const ATTEMPTS_MAX = 8;

export type NamedRef<Ref> = Ref & { readonly name: string };

/** The names of one kind of a tenant. Every change is one conditional put, so that of any number of racers one succeeds. */
export interface RefFolder<Ref extends BranchRef> {
  /** In order of names. Fails with `REPOSITORY_REF_INVALID` when one cannot be read: none is passed over. */
  list(options?: RefCall): Promise<readonly NamedRef<Ref>[]>;
  /** Undefined where the name is free. */
  get(name: string, options?: RefCall): Promise<Ref | undefined>;
  /** Gives the name; `REPOSITORY_REF_EXISTS` when it is taken. */
  create(name: string, ref: Omit<Ref, 'createdAt'>, options?: RefCall): Promise<NamedRef<Ref>>;
  /** Frees the name and returns what it stood for; `REPOSITORY_REF_NOT_FOUND` when it is free. */
  remove(name: string, options?: RefCall): Promise<NamedRef<Ref>>;
}

export interface RefsOptions {
  readonly storage: Storage;
  readonly tenantId: string;
  readonly now?: () => Date;
}

/** Branch names and pinned snapshots of a tenant, in its storage. */
export interface Refs {
  readonly branches: RefFolder<BranchRef>;
  readonly snapshots: RefFolder<SnapshotRef>;
}

export function openRefs(options: RefsOptions): Refs {
  const directory = `neon-snapshot/${options.tenantId}/refs`;
  return {
    branches: new ObjectRefs(options, { kind: 'branch', prefix: `${directory}/branches/`, toRef: toBranch }),
    snapshots: new ObjectRefs(options, {
      kind: 'snapshot',
      prefix: `${directory}/snapshots/`,
      toRef: (record) => ({ ...toBranch(record), lsn: record.lsn ?? 0n }),
    }),
  };
}

interface Folder<Ref> {
  readonly kind: RefKind;
  readonly prefix: string;
  readonly toRef: (record: RefRecord) => Ref;
}

class ObjectRefs<Ref extends BranchRef & { readonly lsn?: bigint }> implements RefFolder<Ref> {
  readonly #storage: Storage;
  readonly #now: () => Date;
  readonly #folder: Folder<Ref>;

  constructor({ storage, now = () => new Date() }: RefsOptions, folder: Folder<Ref>) {
    this.#storage = storage;
    this.#now = now;
    this.#folder = folder;
  }

  async list({ signal }: RefCall = {}): Promise<readonly NamedRef<Ref>[]> {
    const { kind, prefix, toRef } = this.#folder;
    const found: NamedRef<Ref>[] = [];
    for await (const { objects } of this.#storage.list({ prefix, signal })) {
      for (const { key } of objects) {
        const file = key.slice(prefix.length);
        if (!file.endsWith('.json')) continue;
        const name = file.slice(0, -'.json'.length);
        if (!isRefName(name)) throw strayError(kind, `${this.#storage.url}/${key}`);
        const stored = await this.#object(name).read({ signal });
        if (stored !== undefined && !stored.record.isDeleted) found.push({ ...toRef(stored.record), name });
      }
    }
    return found;
  }

  async get(name: string, { signal }: RefCall = {}): Promise<Ref | undefined> {
    assertRefName(this.#folder.kind, name);
    const stored = await this.#object(name).read({ signal });
    return stored === undefined || stored.record.isDeleted ? undefined : this.#folder.toRef(stored.record);
  }

  async create(name: string, ref: Omit<Ref, 'createdAt'>, { signal }: RefCall = {}): Promise<NamedRef<Ref>> {
    const { kind, toRef } = this.#folder;
    assertRefName(kind, name);
    assertConditionalPut(this.#storage, kind);
    const record: RefRecord = {
      refId: randomBytes(16).toString('hex'),
      timelineId: ref.timelineId,
      lsn: ref.lsn,
      createdAt: this.#now(),
      isDeleted: false,
    };
    await this.#change(name, { signal }, (found) => {
      if (found !== undefined && !found.record.isDeleted) throw existsError(kind, name, found.record);
      return record;
    });
    return { ...toRef(record), name };
  }

  async remove(name: string, { signal }: RefCall = {}): Promise<NamedRef<Ref>> {
    const { kind, toRef } = this.#folder;
    assertRefName(kind, name);
    assertConditionalPut(this.#storage, kind);
    const removed = await this.#change(name, { signal }, (found) => {
      if (found === undefined || found.record.isDeleted) throw notFoundError(kind, name);
      return { ...found.record, refId: randomBytes(16).toString('hex'), isDeleted: true };
    });
    return { ...toRef(removed), name };
  }

  async #change(
    name: string,
    call: RefCall,
    decide: (found: StoredRef | undefined) => RefRecord,
  ): Promise<RefRecord> {
    const object = this.#object(name);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const expected = await object.read(call);
      const record = decide(expected);
      if (await object.put(record, { expected, ...call })) return record;
    }
    throw new RepositoryError({
      code: 'REPOSITORY_REF_EXISTS',
      operation: `name ${this.#folder.kind}`,
      message: `${object.place} is being changed by others all the time; try again`,
      context: { name },
    });
  }

  #object(name: string): RefObject {
    const { kind, prefix } = this.#folder;
    return new RefObject(this.#storage, `${prefix}${name}.json`, { hasLsn: kind === 'snapshot' });
  }
}

function toBranch({ timelineId, createdAt }: RefRecord): BranchRef {
  return { timelineId, createdAt };
}

function assertConditionalPut(storage: Storage, kind: RefKind): void {
  const { ifMatch, ifNoneMatch } = storage.capability.conditionalPut;
  if (ifMatch && ifNoneMatch) return;
  throw new RepositoryError({
    code: 'REPOSITORY_REF_UNSUPPORTED',
    operation: `name ${kind}`,
    message: `${storage.url} has no conditional put, so that two could give the same name there; use another storage`,
    context: { url: storage.url },
  });
}

function existsError(kind: RefKind, name: string, { timelineId }: RefRecord): RepositoryError {
  return new RepositoryError({
    code: 'REPOSITORY_REF_EXISTS',
    operation: `name ${kind}`,
    message: `there is a ${kind} ${name} already, of timeline ${timelineId}; take another name or delete that one`,
    context: { name, timelineId },
  });
}

function notFoundError(kind: RefKind, name: string): RepositoryError {
  return new RepositoryError({
    code: 'REPOSITORY_REF_NOT_FOUND',
    operation: `find ${kind}`,
    message: `there is no ${kind} ${name}`,
    context: { name },
  });
}

function strayError(kind: RefKind, place: string): RepositoryError {
  return new RepositoryError({
    code: 'REPOSITORY_REF_INVALID',
    operation: 'read name',
    message: `${place} lies among the ${kind} names, but it has no name that one can have; move or delete it`,
    context: { place },
  });
}
