import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { REDO_MAJORS } from '../major-differences.ts';

/**
 * Writes `vN/bin/postgres` of every major below a directory, for a page server's `pg_distrib_dir`. They start this bin with
 * the Node that runs now, by absolute paths: page servers start redo with an empty environment. Gives what it wrote.
 */
export function installWrappers(directory: string, bin: string): string[] {
  return REDO_MAJORS.map((major) => {
    const binDirectory = join(resolve(directory), `v${major}`, 'bin');
    mkdirSync(binDirectory, { recursive: true });
    const path = join(binDirectory, 'postgres');
    const command = [process.execPath, resolve(bin), `--major=${major}`].map(shellQuoted).join(' ');
    writeFileSync(path, `#!/bin/sh\nexec ${command} "$@"\n`);
    chmodSync(path, 0o755);
    return path;
  });
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
