/** Members that a plugin of each kind must have, with their `typeof` (`array` for arrays). */
const SHAPES = {
  storage: { name: 'string', schemes: 'array', settings: 'array', open: 'function' },
  format: {
    name: 'string',
    capability: 'object',
    readOptions: 'array',
    writeOptions: 'array',
    detect: 'function',
    openReader: 'function',
    openWriter: 'function',
  },
} as const;

export type PluginKind = keyof typeof SHAPES;

/** A value that has been found to have the members of its kind. */
export interface ShapedPlugin {
  readonly kind: PluginKind;
  /** The names it answers to: URL schemes of a storage, the name of a format. */
  readonly names: readonly string[];
  /** URL schemes of running servers, of a format that takes snapshots of them. */
  readonly liveSchemes: readonly string[];
}

/** Checks what a package exported. Gives either the shape or one sentence on what is missing. */
export function checkPluginShape(value: unknown): ShapedPlugin | { readonly fault: string } {
  if (typeof value !== 'object' || value === null)
    return { fault: `it is ${describe(value)}, not an object` };
  const member = (name: string): unknown => Reflect.get(value, name);
  const kind = member('kind');
  if (kind !== 'storage' && kind !== 'format') {
    return { fault: `its "kind" is ${describe(kind)}, not "storage" or "format"` };
  }
  for (const [name, type] of Object.entries(SHAPES[kind])) {
    const found = describe(member(name));
    if (found !== type) return { fault: `its "${name}" is ${found}, not ${type}` };
  }
  const names = kind === 'storage' ? member('schemes') : [member('name')];
  if (!isNames(names)) return { fault: 'its names are not lower-case words' };
  const liveSchemes = kind === 'format' ? (member('liveSchemes') ?? []) : [];
  if (!isNames(liveSchemes) && !isEmpty(liveSchemes))
    return { fault: 'its "liveSchemes" are not lower-case words' };
  if (!isEmpty(liveSchemes) && typeof member('openLiveReader') !== 'function')
    return { fault: 'it has "liveSchemes" and no "openLiveReader"' };
  return { kind, names, liveSchemes };
}

function isEmpty(value: unknown): value is readonly never[] {
  return Array.isArray(value) && value.length === 0;
}

function isNames(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((name) => typeof name === 'string' && /^[a-z][a-z0-9+.-]*$/.test(name))
  );
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
