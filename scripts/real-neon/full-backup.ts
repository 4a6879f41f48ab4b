/** Asks a page server for a timeline's full backup and writes it to a file. */
import { open } from 'node:fs/promises';
import { copyOut } from './libpq.ts';
import type { PageServer } from './page-server.ts';
import type { TimelineOf } from './tenant.ts';

export type FullBackupOptions = TimelineOf & {
  /** The timeline's last LSN when absent. */
  readonly lsn: string | undefined;
  readonly out: string;
};

/** Returns the bytes written. The file is left behind when the server breaks off, for a look at it. */
export async function writeFullBackup(server: PageServer, options: FullBackupOptions): Promise<number> {
  const { tenant, timeline, lsn, out } = options;
  const query = ['fullbackup', tenant, timeline, ...(lsn === undefined ? [] : [lsn])].join(' ');
  const file = await open(out, 'w');
  try {
    let bytes = 0;
    for await (const data of copyOut({ port: server.pgPort, query })) {
      await file.writeFile(data);
      bytes += data.length;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
