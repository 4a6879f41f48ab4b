import { compress, type TarMember, writeTar } from '@neon-snapshot/archive';
import { type BackupOptions, backupMembers } from './backup-members.ts';
import type { BackupMember } from './fixed-files.ts';

/** One CopyData each: clients take larger ones too, but hold them whole. */
const CHUNK_BYTES = 64 * 1024;

export interface WriteBackupOptions extends BackupOptions {
  readonly gzip?: boolean;
  /** Time of every member. */
  readonly now: Date;
}

/** A backup as a tar archive in pieces of at most 64 KiB. */
export async function* writeBackup(options: WriteBackupOptions): AsyncGenerator<Uint8Array, void, void> {
  const { signal } = options;
  const tar = writeTar(withTimes(backupMembers(options), options.now), { signal });
  for await (const chunk of options.gzip ? compress(tar, 'gzip', { signal }) : tar)
    for (let offset = 0; offset < chunk.length; offset += CHUNK_BYTES)
      yield chunk.subarray(offset, offset + CHUNK_BYTES);
}

async function* withTimes(
  members: AsyncIterable<BackupMember>,
  modifiedAt: Date,
): AsyncGenerator<TarMember, void, void> {
  for await (const member of members)
    yield { ...member, modifiedAt, mode: member.kind === 'directory' ? 0o755 : 0o600 };
}
