export { createEventualStorage, type EventualStorage } from './eventual-storage.ts';
export {
  createFaultyStorage,
  type Fault,
  type FaultyStorage,
  type FaultyVerb,
  type PlannedFault,
} from './faulty-storage.ts';
export type { OpenedStorage, StorageKitOptions } from './kit-options.ts';
export { describeStorage } from './storage-kit.ts';
