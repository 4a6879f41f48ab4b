import { RepositoryError } from '../repository-error.ts';

/** What a name stands for. */
export type RefKind = 'branch' | 'snapshot';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const TIMELINE_ID = /^[0-9a-fA-F]{32}$/;

export function isRefName(name: string): boolean {
  return NAME.test(name) && !TIMELINE_ID.test(name) && !name.endsWith('.') && !name.endsWith('.json');
}

/** Throws `REPOSITORY_REF_NAME` for what cannot be an object's name, or could be taken for a timeline id. */
export function assertRefName(kind: RefKind, name: string): void {
  if (isRefName(name)) return;
  throw new RepositoryError({
    code: 'REPOSITORY_REF_NAME',
    operation: `name ${kind}`,
    message: `${JSON.stringify(name.slice(0, 120))} cannot name a ${kind}: a name has 1 to 100 letters, digits, '.', '_' and '-', begins with a letter or digit, ends in neither '.' nor '.json', and is no timeline id`,
    context: { kind },
  });
}
