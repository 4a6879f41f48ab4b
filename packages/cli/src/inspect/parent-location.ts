import type { Storage, StorageLocation } from '@neon-snapshot/storage-core';
import { openLocation, type Session } from '../session.ts';

/** Opens the place that holds the object at a location. The caller disposes it. */
export function openParent(session: Session, location: StorageLocation): Promise<Storage> {
  return openLocation(session, parentUrl(location), { role: 'storage', access: 'read' });
}

/** The location without its last segment, options kept. */
function parentUrl(location: StorageLocation): string {
  const [base = '', query] = location.url.split('?', 2);
  const parent = base.slice(0, base.lastIndexOf('/'));
  return `${parent === 'file://' ? 'file:///' : parent}${query === undefined ? '' : `?${query}`}`;
}
