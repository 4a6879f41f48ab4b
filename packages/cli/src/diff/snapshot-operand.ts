import type { FormatPlugin, SnapshotReader } from '@neon-snapshot/format-core';
import type { Storage } from '@neon-snapshot/storage-core';
import { usageError } from '../cli-error.ts';
import { STORAGE_DEST_FORMAT } from '../plugins.ts';
import { timelineOf } from '../repository.ts';
import { formatServices } from '../services.ts';
import { concurrencyOf, openLocation, type Session } from '../session.ts';
import { detectFormat } from '../source-format.ts';

/** One side of a comparison as it is written: `PLACE[#[TENANT/]TIMELINE][@LSN]`. */
export interface SnapshotOperand {
  /** Absent: the repository's `storage_dest`. */
  readonly place: string | undefined;
  readonly tenantId: string | undefined;
  readonly timelineId: string | undefined;
  readonly lsn: string | undefined;
}

const OPERAND = /^(.*?)(?:#(?:([0-9a-f]{32})\/)?([0-9a-f]{32}))?(?:@([0-9a-f]{1,8}\/[0-9a-f]{1,8}))?$/is;

export function parseOperand(text: string): SnapshotOperand {
  const [, place = '', tenantId, timelineId, lsn] = OPERAND.exec(text) ?? [];
  return {
    place: place === '' ? undefined : place,
    tenantId: tenantId?.toLowerCase(),
    timelineId: timelineId?.toLowerCase(),
    lsn,
  };
}

/** An opened side. Dispose to close reader and storage. */
export interface OpenedOperand extends AsyncDisposable {
  readonly storage: Storage;
  readonly format: FormatPlugin;
  readonly reader: SnapshotReader;
}

export async function openOperand(session: Session, text: string): Promise<OpenedOperand> {
  const operand = await resolve(session, parseOperand(text));
  // Both sides may be the same bucket, so both have its credentials.
  const storage = await openLocation(session, operand.place, { role: 'storage', access: 'read' });
  try {
    const format = await detectFormat(session, storage, { hint: 'check the path' });
    const { tenantId: tenant_id, timelineId: timeline_id, lsn } = operand;
    const options = Object.fromEntries(
      Object.entries({ tenant_id, timeline_id, lsn }).filter(([, value]) => value !== undefined),
    );
    assertKnown(format, { text, names: Object.keys(options) });
    const reader = await format.openReader({
      storage,
      options,
      services: formatServices(session, 'storage'),
      signal: session.signal,
      concurrency: Math.max(1, Math.floor(concurrencyOf(session.args) / 2)),
      // What the pages say is compared; whether their checksums are right is another question.
      pagesVerifiedDownstream: true,
    });
    return {
      storage,
      format,
      reader,
      [Symbol.asyncDispose]: async () => {
        await reader[Symbol.asyncDispose]();
        await storage[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await storage[Symbol.asyncDispose]();
    throw error;
  }
}

async function resolve(
  session: Session,
  operand: SnapshotOperand,
): Promise<SnapshotOperand & { readonly place: string }> {
  const { place } = operand;
  if (place !== undefined) return { ...operand, place };
  const own = await timelineOf(session);
  const isOtherTenant = operand.tenantId !== undefined && operand.tenantId !== own.tenantId;
  return {
    ...operand,
    place: own.storageDest,
    tenantId: operand.tenantId ?? own.tenantId,
    timelineId: operand.timelineId ?? (isOtherTenant ? undefined : own.timelineId),
  };
}

function assertKnown(
  format: FormatPlugin,
  { text, names }: { readonly text: string; readonly names: readonly string[] },
): void {
  const unknown = names.find((name) => !format.readOptions.some((option) => option.name === name));
  if (unknown === undefined) return;
  const part = unknown === 'lsn' ? '@LSN' : '#TIMELINE';
  throw usageError(
    `${text}: a snapshot in the format ${format.name} has no ${part}; that is for ${STORAGE_DEST_FORMAT}`,
  );
}
