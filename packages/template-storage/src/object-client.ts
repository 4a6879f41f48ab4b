/** The calls that the service offers. This one keeps objects in memory: put calls to your service in its place. */
export interface ObjectClient {
  /** The newest version of an object, or undefined where there is none. */
  read(key: string): Promise<StoredObject | undefined>;
  /** Stores an object whole, if `isExpected` says so of what is there; false where it does not. */
  write(
    key: string,
    bytes: Uint8Array,
    isExpected: (found: StoredObject | undefined) => boolean,
  ): Promise<StoredObject | false>;
  remove(keys: readonly string[]): Promise<void>;
  /** All keys that start with the prefix, in byte order. */
  keys(prefix: string): Promise<readonly string[]>;
}

export interface StoredObject {
  readonly bytes: Uint8Array;
  /** Changes with every write. */
  readonly version: string;
  readonly modifiedAt: Date;
}

/** Objects of this process, by name of the container: each place that is opened sees what others put there. */
const containers = new Map<string, Map<string, StoredObject>>();

export function connect(container: string): ObjectClient {
  const objects = containers.get(container) ?? new Map<string, StoredObject>();
  containers.set(container, objects);
  let versions = 0;
  return {
    read: async (key) => objects.get(key),
    write: async (key, bytes, isExpected) => {
      if (!isExpected(objects.get(key))) return false;
      versions += 1;
      const stored = {
        bytes: Uint8Array.from(bytes),
        version: `${Date.now()}-${versions}`,
        modifiedAt: new Date(),
      };
      objects.set(key, stored);
      return stored;
    },
    remove: async (keys) => {
      for (const key of keys) objects.delete(key);
    },
    keys: async (prefix) =>
      [...objects.keys()]
        .filter((key) => key.startsWith(prefix))
        .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  };
}
