import manifest from '../package.json' with { type: 'json' };

/** The version of the installed CLI. */
export const VERSION: string = manifest.version;
