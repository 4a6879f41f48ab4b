export { openS3Storage } from './open-s3-storage.ts';
export type { S3Checksum, S3Credentials, S3Encryption, S3StorageOptions } from './options.ts';
export { plugin } from './plugin.ts';
