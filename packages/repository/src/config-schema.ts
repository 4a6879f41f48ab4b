import { isStorageError, nearestName, parseStorageUrl } from '@neon-snapshot/storage-core';
import { z } from 'zod';

/** Names that look like secrets are refused with a word on where they belong. */
const SECRET_NAME = /secret|password|passphrase|token|credential|access_key|private_key/i;
/** They describe one import or export, not the repository. */
const ONE_OFF_NAMES = ['snapshot_path', 'snapshot_format'];

const CONFIG_VERSION = 1;

const storageDest = z.string().transform((text, context) => {
  try {
    return parseStorageUrl(text).url;
  } catch (error) {
    if (!isStorageError(error)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});

const id = z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 lower-case hex digits');

const schema = z.strictObject({
  /** Of this file's layout. */
  config_version: z.literal(CONFIG_VERSION).default(CONFIG_VERSION),
  /** Where snapshots are pushed to: normalised storage URL, its parameters in the query. Never a secret. */
  storage_dest: storageDest,
  tenant_id: id,
  timeline_id: id,
  /** Postgres major. */
  pg_version: z.int().min(14).max(18),
  /** npm packages with further backends and formats. */
  plugins: z.array(z.string().min(1)).readonly().default([]),
});

/** Contents of `.neon/config.toml`. */
export type RepositoryConfig = Readonly<z.output<typeof schema>>;

/** What {@link RepositoryConfig} is made of: fields with defaults may be left out. */
export type RepositoryConfigInput = Readonly<z.input<typeof schema>>;

export type ConfigResult =
  | { readonly config: RepositoryConfig; readonly faults?: never }
  /** One clause for each fault. */
  | { readonly config?: never; readonly faults: readonly string[] };

/** Checks a parsed configuration strictly: every name has to be known, every value right. */
export function checkConfig(value: unknown): ConfigResult {
  const result = schema.safeParse(value);
  if (result.success) return { config: result.data };
  return { faults: result.error.issues.flatMap(describeIssue) };
}

function describeIssue(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map(describeUnknown);
  const name = issue.path.join('.');
  if (issue.code === 'invalid_value' && name === 'config_version')
    return [`config_version is not ${CONFIG_VERSION}, the one this program knows; use a newer neon`];
  const isMissing = issue.code === 'invalid_type' && issue.message.includes('received undefined');
  return [isMissing ? `${name} is missing` : `${name}: ${issue.message}`];
}

function describeUnknown(name: string): string {
  if (ONE_OFF_NAMES.includes(name)) return `${name} is never saved; give it as a flag`;
  const nearest = nearestName(name.toLowerCase().replaceAll('-', '_'), Object.keys(schema.shape));
  if (nearest !== undefined) return `${name} is unknown; did you mean ${nearest}?`;
  if (SECRET_NAME.test(name))
    return `${name} looks like a secret, which is never saved; set it in the environment`;
  return `${name} is unknown (known: ${Object.keys(schema.shape).join(', ')})`;
}
