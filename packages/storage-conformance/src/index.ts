export { createEventualStorage, type EventualStorage } from './eventual-storage.ts';
export {
  type FaultSweepOptions,
  type FaultSweepReport,
  type SweptCase,
  type SweptOutcome,
  sweepFaults,
} from './fault-sweep.ts';
export {
  createFaultyStorage,
  type Fault,
  type FaultyStorage,
  type FaultyVerb,
  type PlannedFault,
} from './faulty-storage.ts';
export type { OpenedStorage, StorageKitOptions } from './kit-options.ts';
export { describeStorage } from './storage-kit.ts';
