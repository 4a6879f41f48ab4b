import type { ProgressListener } from '@neon-snapshot/format-core';
import type { ParsedArguments } from './arguments.ts';
import type { OutputWriter } from './output/writer.ts';
import { createRegistry } from './plugins.ts';
import { readRepositoryIfAny } from './repository.ts';
import type { Session } from './session.ts';
import { registerPackages } from './third-party.ts';

export interface SessionRequest {
  readonly args: ParsedArguments;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly currentDirectory: string;
  readonly output: OutputWriter;
  readonly signal: AbortSignal;
  readonly onProgress: ProgressListener;
  readonly program: readonly [string, ...string[]];
}

/** Brings the registry up: built-ins, then the packages named in the configuration, NEON_PLUGINS and --plugin. */
export async function prepareSession(request: SessionRequest): Promise<Session> {
  const registry = createRegistry();
  const config = await readRepositoryIfAny(request);
  const packages = [
    ...(config?.plugins ?? []),
    ...(request.env.NEON_PLUGINS ?? '').split(/[\s,]+/).filter((name) => name !== ''),
    ...request.args.list('plugin'),
  ];
  await registerPackages(registry, [...new Set(packages)], request.currentDirectory);
  return { ...request, registry };
}
