import type { Storage } from '@neon-snapshot/storage-core';
import { CliError, usageError } from '../cli-error.ts';
import { copyObjects, type ObjectCopy } from '../objects/copy-objects.ts';
import { openNamedObject, sizeOf } from '../objects/named-object.ts';
import { formatBytes } from '../output/units.ts';
import type { CommandResult } from '../output/writer.ts';
import { assertSeparatePlaces } from '../separate-places.ts';
import { openLocation, type Session } from '../session.ts';

/**
 * `neon storage cp FROM TO`: one object, or with `--recursive` all objects below FROM, between any two stores. FROM is opened with the
 * credentials of a snapshot_path, TO with those of a storage_dest.
 */
export async function run(session: Session): Promise<CommandResult> {
  const from = session.args.string('from');
  const to = session.args.string('to');
  if (from === undefined || to === undefined)
    throw usageError('name two storage URLs: neon storage cp FROM TO');
  return session.args.boolean('recursive')
    ? await copyAll(session, from, to)
    : await copyOne(session, from, to);
}

async function copyOne(session: Session, from: string, to: string): Promise<CommandResult> {
  await using source = await openNamedObject(session, from, { role: 'snapshot', access: 'read' });
  const sizeBytes = await sizeOf(session, source);
  if (sizeBytes === undefined) {
    throw new CliError(
      'CLI_NO_OBJECT',
      'storage cp',
      `${from} is no object; a prefix or a directory is copied with --recursive`,
      { url: from },
    );
  }
  // As of a file manager: TO that ends in a slash is the place, else the name.
  const target = to.endsWith('/') ? `${to}${source.key}` : to;
  await using destination = await openNamedObject(session, target, writeRequest(session));
  const copies = [{ from: source.key, to: destination.key, sizeBytes }];
  await copyObjects(session, { source: source.storage, destination: destination.storage, copies });
  return describe(copies, { from, to: target });
}

async function copyAll(session: Session, from: string, to: string): Promise<CommandResult> {
  await using source = await openLocation(session, from, { role: 'snapshot', access: 'read' });
  await using destination = await openLocation(session, to, writeRequest(session));
  assertSeparatePlaces(destination, source);
  const copies: ObjectCopy[] = [];
  for await (const { objects } of source.list({ signal: session.signal })) {
    for (const object of objects) {
      // A mark of a directory; directories come with what is in them.
      if (object.key.endsWith('/')) continue;
      assertCopyable(source, object);
      copies.push({ from: object.key, to: object.key, sizeBytes: object.sizeBytes });
    }
  }
  if (copies.length === 0)
    throw new CliError('CLI_NO_OBJECT', 'storage cp', `${source.url} holds no object`, { url: source.url });
  await copyObjects(session, { source, destination, copies });
  return describe(copies, { from: source.url, to: destination.url });
}

function assertCopyable(
  source: Storage,
  object: { readonly key: string; readonly linkTarget?: string },
): void {
  if (object.linkTarget === undefined) return;
  throw new CliError(
    'CLI_NO_OBJECT',
    'storage cp',
    `${object.key} in ${source.url} is a symbolic link, which object stores do not have; a data directory is copied with neon snapshot copy`,
    { key: object.key },
  );
}

function writeRequest({ args }: Session) {
  return { role: 'storage', access: 'write', bytesPerSecondMax: args.bytes('max_rate') } as const;
}

function describe(
  copies: readonly ObjectCopy[],
  { from, to }: { readonly from: string; readonly to: string },
): CommandResult {
  const bytesTotal = copies.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return {
    command: 'storage cp',
    lines: [`copied ${copies.length} objects, ${formatBytes(bytesTotal)}, from ${from} to ${to}`],
    data: { from, to, objects: copies.length, bytesTotal },
  };
}
