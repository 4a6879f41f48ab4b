import { CliError, usageError } from '../cli-error.ts';
import { openNamedObject, sizeOf } from '../objects/named-object.ts';
import { formatBytes } from '../output/units.ts';
import type { CommandResult } from '../output/writer.ts';
import { openLocation, type Session } from '../session.ts';

/** `neon storage rm URL`: one object, or with `--recursive` all below the URL; without `--yes` only says what would go. */
export async function run(session: Session): Promise<CommandResult> {
  const url = session.args.string('url');
  if (url === undefined) throw usageError('name a storage URL: neon storage rm URL');
  return session.args.boolean('recursive') ? await removeAll(session, url) : await removeOne(session, url);
}

async function removeOne(session: Session, url: string): Promise<CommandResult> {
  await using object = await openNamedObject(session, url, accessOf(session));
  const sizeBytes = await sizeOf(session, object);
  if (sizeBytes === undefined) {
    throw new CliError(
      'CLI_NO_OBJECT',
      'storage rm',
      `${url} is no object; a prefix or a directory is removed with --recursive`,
      { url },
    );
  }
  if (isMeant(session)) await object.storage.delete([object.key], { signal: session.signal });
  return describe(session, url, [sizeBytes]);
}

async function removeAll(session: Session, url: string): Promise<CommandResult> {
  await using storage = await openLocation(session, url, accessOf(session));
  const keys: string[] = [];
  const sizes: number[] = [];
  for await (const { objects } of storage.list({ signal: session.signal })) {
    for (const { key, sizeBytes } of objects) {
      keys.push(key);
      sizes.push(sizeBytes);
    }
  }
  if (isMeant(session)) await storage.delete(keys, { signal: session.signal });
  return describe(session, storage.url, sizes);
}

function isMeant({ args }: Session): boolean {
  return args.boolean('yes');
}

function accessOf(session: Session) {
  return { role: 'storage', access: isMeant(session) ? 'write' : 'read' } as const;
}

function describe(session: Session, url: string, sizes: readonly number[]): CommandResult {
  const bytesTotal = sizes.reduce((sum, size) => sum + size, 0);
  const what = `${sizes.length} objects, ${formatBytes(bytesTotal)}`;
  const deleted = isMeant(session);
  return {
    command: 'storage rm',
    lines: deleted
      ? [`deleted ${what} from ${url}`]
      : [`would delete ${what} from ${url}`, 'nothing was deleted; to delete it, say --yes'],
    data: { url, objects: sizes.length, bytesTotal, deleted },
  };
}
