/** A parsed storage URL. Holds no secret: user information with a password is refused at parsing. */
export interface StorageLocation {
  readonly scheme: string;
  /** Bucket, container or `user@host:port`; empty for `file`. */
  readonly authority: string;
  /** Prefix without leading and trailing `/`; for `file` the absolute path. */
  readonly path: string;
  /** The URL's query, in order. */
  readonly options: ReadonlyMap<string, string>;
  /** The normalised URL. */
  readonly url: string;
}
