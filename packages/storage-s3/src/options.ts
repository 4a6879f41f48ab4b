/** A key pair, with the session token where it is a temporary one. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export type S3Checksum = 'none' | 'crc32' | 'crc32c';

/** Server-side encryption that is asked for. */
export type S3Encryption =
  | { readonly kind: 'AES256' }
  | { readonly kind: 'aws:kms'; readonly keyId?: string }
  /** SSE-C: 32 bytes; whoever reads the objects needs them too. */
  | { readonly kind: 'customer'; readonly key: Uint8Array };

/** What a caller gives to `openS3Storage`; the README has every range and default. */
export interface S3StorageOptions {
  readonly bucket: string;
  /** Key prefix without leading and trailing `/`; the bucket's root without it. */
  readonly prefix?: string;
  /** `read`, the default is `write`, makes writing verbs `STORAGE_UNSUPPORTED`. */
  readonly access?: 'read' | 'write';
  /** URL of an S3-compatible server; AWS' own without it. */
  readonly endpoint?: string;
  readonly region?: string;
  readonly pathStyle?: boolean;
  readonly dualStack?: boolean;
  readonly credentials?: S3Credentials;
  /** Profile of the shared files; read when no `credentials` are given. */
  readonly profile?: string;
  readonly sharedCredentialsFile?: string;
  readonly sharedConfigFile?: string;
  /** Role to assume with the credentials found, or with the token of `webIdentityTokenFile`. */
  readonly roleArn?: string;
  readonly roleSessionName?: string;
  readonly webIdentityTokenFile?: string;
  /** Where the credentials came from, for messages only: `environment`, `NEON_STORAGE_*`. */
  readonly credentialSource?: string;
  /** PEM file of the authorities to trust instead of the system's. */
  readonly caFile?: string;
  readonly partSizeBytes?: number;
  /** Parts of one object in flight. */
  readonly concurrency?: number;
  readonly checksum?: S3Checksum;
  readonly signPayload?: boolean;
  readonly conditionalPut?: boolean;
  readonly storageClass?: string;
  readonly encryption?: S3Encryption;
  readonly retriesMax?: number;
  /** Broken reads in a row, with no byte between them, that are resumed. */
  readonly rangeRetriesMax?: number;
  readonly throttleDelayMinMs?: number;
  readonly throttleDelayMaxMs?: number;
  readonly connectTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  readonly deleteBatchSize?: number;
  /** Largest object that CopyObject takes; larger ones are copied in parts. */
  readonly copySizeMaxBytes?: number;
}
