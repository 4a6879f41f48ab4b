import { readFile } from 'node:fs/promises';
import { parse, stringify, TomlError } from 'smol-toml';
import { writeFileAtomic } from './atomic-file.ts';
import { checkConfig, type RepositoryConfig, type RepositoryConfigInput } from './config-schema.ts';
import { hasErrno, ioError, RepositoryError } from './repository-error.ts';
import { repositoryPaths } from './repository-paths.ts';

const HEADING = '# A neon repository. Secrets never stand here: they come from the environment.\n';

/** The configuration of the repository in a directory, or undefined where there is none. Throws `REPOSITORY_CONFIG_INVALID`. */
export async function readConfigIfAny(directory: string): Promise<RepositoryConfig | undefined> {
  const { configFile } = repositoryPaths(directory);
  let text: string;
  try {
    text = await readFile(configFile, 'utf8');
  } catch (error) {
    if (hasErrno(error, 'ENOENT') || hasErrno(error, 'ENOTDIR')) return undefined;
    throw ioError(error, { operation: 'read config', path: configFile });
  }
  return validate(parseToml(text, configFile), configFile);
}

/** Like {@link readConfigIfAny}; throws `REPOSITORY_NOT_FOUND` where there is none. */
export async function readConfig(directory: string): Promise<RepositoryConfig> {
  const config = await readConfigIfAny(directory);
  if (config !== undefined) return config;
  throw new RepositoryError({
    code: 'REPOSITORY_NOT_FOUND',
    operation: 'read config',
    message: `there is no repository in ${directory} (no .neon/config.toml); make one with neon init, or name its directory with -D or NEON_REPO_DIR`,
    context: { directory },
  });
}

/** Replaces the configuration, atomically; comments in the file are not kept. Refuses what {@link readConfig} would. */
export async function writeConfig(
  directory: string,
  config: RepositoryConfigInput,
  options: { readonly exclusive?: boolean } = {},
): Promise<RepositoryConfig> {
  const { configFile } = repositoryPaths(directory);
  const checked = validate(config, configFile);
  try {
    await writeFileAtomic({ path: configFile, text: HEADING + stringify(checked), ...options });
  } catch (error) {
    if (options.exclusive && hasErrno(error, 'EEXIST')) throw error;
    throw ioError(error, { operation: 'write config', path: configFile });
  }
  return checked;
}

function parseToml(text: string, configFile: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split('\n')[0] ?? '';
    throw new RepositoryError({
      code: 'REPOSITORY_CONFIG_INVALID',
      operation: 'read config',
      message: `${configFile}:${error.line}:${error.column}: ${reason}`,
      context: { path: configFile, line: error.line, column: error.column },
      cause: error,
    });
  }
}

function validate(value: unknown, configFile: string): RepositoryConfig {
  const { config, faults } = checkConfig(value);
  if (config !== undefined) return config;
  throw new RepositoryError({
    code: 'REPOSITORY_CONFIG_INVALID',
    operation: 'check config',
    message: `${configFile}: ${faults.join('; ')}`,
    context: { path: configFile },
  });
}
