import { auxFileKey, decodeAuxFiles, encodeAuxFiles } from '@neon-snapshot/neon-layer';
import type { Modification } from './modification.ts';

/** Stores an aux file, or removes it where the content is empty: an empty value, also where there was none. */
export async function putAuxFile(
  modification: Modification,
  path: string,
  content: Uint8Array,
): Promise<void> {
  const key = auxFileKey(path);
  const before = await modification.find(key);
  const others = before === undefined ? [] : decodeAuxFiles(before).filter((file) => file.path !== path);
  const files = content.length === 0 ? others : [...others, { path, content }];
  modification.putImage(key, encodeAuxFiles(files));
}
