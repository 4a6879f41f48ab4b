import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PluginRegistry } from '@neon-snapshot/storage-core';
import { CliError } from './cli-error.ts';

/** Loads packages of other authors and registers what they export as `plugin`. */
export async function registerPackages(
  registry: PluginRegistry,
  packages: readonly string[],
  directory: string,
): Promise<void> {
  for (const packageName of packages) {
    const exported = await importFrom(packageName, directory);
    registry.registerLoaded(exported.plugin, packageName);
  }
}

/** Resolves from the user's directory first, then beside the CLI. */
async function importFrom(
  packageName: string,
  directory: string,
): Promise<Readonly<Record<string, unknown>>> {
  const userResolve = createRequire(path.join(directory, 'package.json')).resolve;
  const resolvers = [
    () => pathToFileURL(userResolve(packageName)).href,
    () => import.meta.resolve(packageName),
  ];
  let url: string | undefined;
  for (const resolve of resolvers) {
    try {
      url ??= resolve();
    } catch {
      // Not installed there; the next place is asked.
    }
  }
  if (url === undefined) {
    throw new CliError(
      'CLI_PLUGIN_NOT_INSTALLED',
      'load plugin',
      `the plugin package ${packageName} is not installed in ${directory} or beside the CLI; install it there`,
      { packageName },
    );
  }
  return (await import(url)) as Readonly<Record<string, unknown>>;
}
