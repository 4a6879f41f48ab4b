import type { PluginIdentity, StoragePlugin } from './plugin.ts';
import { PluginError } from './plugin-error.ts';
import { checkPluginShape, type PluginKind } from './plugin-shape.ts';
import { nearestName } from './suggestion.ts';

/** A package that offers plugins, known without loading it. */
export interface PluginRegistration {
  readonly kind: PluginKind;
  /** URL schemes of a storage, the name of a format. */
  readonly names: readonly string[];
  /** URL schemes of running servers that a format takes snapshots of. */
  readonly liveSchemes?: readonly string[];
  /** For messages and `neon plugins list`. */
  readonly packageName: string;
  /** Gives the package's `plugin` value; called at the first use and at most once when it succeeds. */
  load(): Promise<unknown>;
}

export interface PluginListing {
  readonly kind: PluginKind;
  readonly names: readonly string[];
  readonly packageName: string;
}

export interface PluginRegistry {
  /** Adds a package. A name that is taken is `PLUGIN_DUPLICATE`, whoever took it, and nothing is added. */
  register(registration: PluginRegistration): void;
  /** Adds a plugin that is loaded already, such as a user's own: its names are read off it. `PLUGIN_INVALID` if it is none. */
  registerLoaded(plugin: unknown, packageName: string): void;
  /** The name of the format that takes snapshots of running servers of a URL scheme; nothing is loaded. */
  formatOfLiveScheme(scheme: string): string | undefined;
  /** Everything registered, in order, without loading any of it. */
  list(): readonly PluginListing[];
  /** `PLUGIN_NOT_FOUND` names what is there; `PLUGIN_NOT_INSTALLED`, `PLUGIN_LOAD_FAILED` and `PLUGIN_INVALID` name the package. */
  load(kind: 'storage', name: string): Promise<StoragePlugin>;
  /** A format. Its members have been checked to be there; `Plugin` is `format-core`'s `FormatPlugin`. */
  load<Plugin extends PluginIdentity>(kind: 'format', name: string): Promise<Plugin>;
}

/** An empty registry. */
export function createPluginRegistry(): PluginRegistry {
  return new Registry();
}

interface Registered extends PluginRegistration {
  loaded: Promise<unknown> | undefined;
}

class Registry implements PluginRegistry {
  readonly #registered: Registered[] = [];

  register(registration: PluginRegistration): void {
    const { kind, names, packageName, liveSchemes = [] } = registration;
    for (const scheme of liveSchemes) this.#assertFreeScheme(scheme, packageName);
    for (const name of names) {
      const other = this.#find(kind, name);
      if (other === undefined) continue;
      throw new PluginError({
        code: 'PLUGIN_DUPLICATE',
        operation: 'register',
        message: `${packageName} and ${other.packageName} both offer the ${kind} "${name}"; remove one of them`,
        context: { kind, name, packageName, otherPackageName: other.packageName },
      });
    }
    const load = () => registration.load();
    this.#registered.push({ kind, names, liveSchemes, packageName, load, loaded: undefined });
  }

  registerLoaded(plugin: unknown, packageName: string): void {
    const shape = checkPluginShape(plugin);
    if ('fault' in shape) throw invalidPlugin({ operation: 'register', packageName, fault: shape.fault });
    const { kind, names, liveSchemes } = shape;
    this.register({ kind, names, liveSchemes, packageName, load: async () => plugin });
  }

  formatOfLiveScheme(scheme: string): string | undefined {
    return this.#registered.find(({ liveSchemes }) => liveSchemes?.includes(scheme))?.names[0];
  }

  list(): readonly PluginListing[] {
    return this.#registered.map(({ kind, names, packageName }) => ({ kind, names, packageName }));
  }

  load(kind: 'storage', name: string): Promise<StoragePlugin>;
  load<Plugin extends PluginIdentity>(kind: 'format', name: string): Promise<Plugin>;
  async load(kind: PluginKind, name: string): Promise<unknown> {
    const registered = this.#find(kind, name);
    if (registered === undefined) throw this.#notFound(kind, name);
    registered.loaded ??= loadChecked(registered);
    try {
      return await registered.loaded;
    } catch (error) {
      registered.loaded = undefined;
      throw error;
    }
  }

  #assertFreeScheme(scheme: string, packageName: string): void {
    const other = this.#registered.find(
      ({ kind, names, liveSchemes }) =>
        liveSchemes?.includes(scheme) || (kind === 'storage' && names.includes(scheme)),
    );
    if (other === undefined) return;
    throw new PluginError({
      code: 'PLUGIN_DUPLICATE',
      operation: 'register',
      message: `${packageName} and ${other.packageName} both offer URLs of "${scheme}:"; remove one of them`,
      context: { scheme, packageName, otherPackageName: other.packageName },
    });
  }

  #find(kind: PluginKind, name: string): Registered | undefined {
    return this.#registered.find((each) => each.kind === kind && each.names.includes(name));
  }

  #notFound(kind: PluginKind, name: string): PluginError {
    const known = this.#registered.filter((each) => each.kind === kind).flatMap((each) => each.names);
    const nearest = nearestName(name, known);
    const hint = nearest === undefined ? '' : ` Did you mean "${nearest}"?`;
    return new PluginError({
      code: 'PLUGIN_NOT_FOUND',
      operation: 'load',
      message: `no package offers the ${kind} "${name}"; there are: ${known.join(', ') || 'none'}.${hint}`,
      context: { kind, name },
    });
  }
}

async function loadChecked({ kind, names, packageName, load }: PluginRegistration): Promise<unknown> {
  let plugin: unknown;
  try {
    plugin = await load();
  } catch (cause) {
    throw isMissing(cause, packageName) ? notInstalled(packageName, cause) : loadFailed(packageName, cause);
  }
  const shape = checkPluginShape(plugin);
  if ('fault' in shape) throw invalidPlugin({ operation: 'load', packageName, fault: shape.fault });
  const missing = names.filter((name) => shape.kind !== kind || !shape.names.includes(name));
  if (missing.length > 0) {
    const fault = `it is the ${shape.kind} "${shape.names.join(', ')}", not the ${kind} "${missing.join(', ')}"`;
    throw invalidPlugin({ operation: 'load', packageName, fault });
  }
  return plugin;
}

function invalidPlugin(facts: {
  readonly operation: 'register' | 'load';
  readonly packageName: string;
  readonly fault: string;
}): PluginError {
  return new PluginError({
    code: 'PLUGIN_INVALID',
    operation: facts.operation,
    message: `what ${facts.packageName} exports as "plugin" is not one: ${facts.fault}`,
    context: { packageName: facts.packageName },
  });
}

/** Node's error where the package itself, not something that it needs, is not there. */
function isMissing(error: unknown, packageName: string): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes(`'${packageName}'`);
}

function notInstalled(packageName: string, cause: unknown): PluginError {
  return new PluginError({
    code: 'PLUGIN_NOT_INSTALLED',
    operation: 'load',
    message: `the package ${packageName} is not installed; install it beside the CLI: npm install ${packageName}`,
    context: { packageName },
    cause,
  });
}

function loadFailed(packageName: string, cause: unknown): PluginError {
  return new PluginError({
    code: 'PLUGIN_LOAD_FAILED',
    operation: 'load',
    message: `the package ${packageName} could not be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
    context: { packageName },
    cause,
  });
}
