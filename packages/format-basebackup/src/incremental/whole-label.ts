import { type BackupLabel, decodeBackupLabel, encodeBackupLabel } from '@neon-snapshot/postgres';

/** The label of a backup made whole: without the lines at which a server refuses to start. Any other label as it is. */
export function wholeLabel(bytes: Uint8Array): Uint8Array {
  const { incrementalFrom, ...label }: BackupLabel = decodeBackupLabel(bytes);
  return incrementalFrom === undefined ? bytes : encodeBackupLabel(label);
}
