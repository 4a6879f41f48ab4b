import { formatRelationPath, parseRelationPath, tablespaceVersionDirectory } from '@neon-snapshot/postgres';

const MAIN_FORK = 0;
const INIT_FORK = 3;

export function isInitFork(path: string): boolean {
  return path.includes('_init') && parseRelationPath(path)?.tag.forkNum === INIT_FORK;
}

/** The main fork's path of an init fork's; undefined for every other path. */
export function mainForkOfInit(path: string, major: number): string | undefined {
  const relation = path.includes('_init') ? parseRelationPath(path) : undefined;
  if (relation?.tag.forkNum !== INIT_FORK) return undefined;
  return formatRelationPath({ ...relation.tag, forkNum: MAIN_FORK }, relation.segno, {
    tablespaceVersionDirectory: tablespaceVersionDirectory(major),
  });
}
