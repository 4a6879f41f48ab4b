import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyTree, initdb, type PostgresInstallation } from '@neon-snapshot/postgres-process';

export interface TemplateOptions {
  readonly installation: PostgresInstallation;
  readonly dataChecksums: boolean;
  readonly dataDirectory: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Puts a fresh cluster into a directory, from a copy that initdb makes once per version in the temporary directory.
 * Clusters of one template have one system identifier.
 */
export async function copyTemplate(options: TemplateOptions): Promise<void> {
  const { installation, dataChecksums, signal } = options;
  const cache = join(tmpdir(), `neon-cluster-templates-${process.getuid?.() ?? 'user'}`);
  const name = `${installation.source}-${installation.version}${dataChecksums ? '-checksums' : ''}`;
  const template = join(cache, name);
  await mkdir(cache, { recursive: true, mode: 0o755 });
  if (!(await exists(template))) {
    const temporary = join(cache, `${name}.${randomUUID()}.tmp`);
    await initdb({ installation, dataDirectory: temporary, dataChecksums, sync: false, signal });
    await rename(temporary, template).catch(async (error: unknown) => {
      await rm(temporary, { recursive: true, force: true });
      // Another test run was faster: its template is as good.
      if (!(await exists(template))) throw error;
    });
  }
  await copyTree({ source: template, target: options.dataDirectory, signal });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
