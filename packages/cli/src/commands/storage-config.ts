import { parseStorageUrl } from '@neon-snapshot/storage-core';
import type { CommandResult } from '../output/writer.ts';
import { requiredRepository } from '../repository.ts';
import { inlineToml, neonRemoteStorage } from '../server/storage-config.ts';
import type { Session } from '../session.ts';
import { savedStorageDest } from '../storage-dest-url.ts';

/** `neon storage config`: the same storage in the syntax of Neon's own programs. */
export async function run(session: Session): Promise<CommandResult> {
  const given = session.args.string('storage_dest');
  const url =
    given === undefined
      ? (await requiredRepository(session)).storage_dest
      : await savedStorageDest(session, given);
  const program = session.args.string('for') ?? 'pageserver';
  const { settings, notes } = neonRemoteStorage(parseStorageUrl(url));
  const toml = inlineToml(settings);
  for (const note of notes) session.output.note(note);
  return {
    command: 'storage config',
    lines: [
      program === 'safekeeper'
        ? `--remote-storage='${toml.replaceAll("'", "'\\''")}'`
        : `remote_storage = ${toml}`,
    ],
    data: { for: program, storageDest: url, remoteStorage: settings, toml },
  };
}
