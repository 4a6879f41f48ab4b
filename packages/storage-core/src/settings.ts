/**
 * Settings as one role sees them. A setting `X` for role `storage` is looked up as `NEON_STORAGE_X`, then `X`, then `WALG_X`;
 * for role `snapshot` as `NEON_SNAPSHOT_X`, then `X`, then `WALG_X`.
 */
export interface SettingsScope {
  readonly role: 'storage' | 'snapshot';
  /** Value of one setting; the first name that is set and not empty wins. */
  get(name: string, aliases?: readonly string[]): string | undefined;
  /**
   * Values of a group (a credential), all from the first scope that sets any of them, never mixed.
   * `source` says which prefix supplied them, for messages.
   */
  group(names: readonly string[]): {
    readonly source: string;
    readonly values: Readonly<Record<string, string>>;
  };
}
