import type { SettingDescription } from '@neon-snapshot/storage-core';

const CREDENTIALS = 'credentials';

/** Every setting of `s3://`, under the names of the AWS SDKs and of WAL-G (whose `WALG_` forms the scope adds). */
export const settings: readonly SettingDescription[] = [
  {
    name: 'AWS_ENDPOINT_URL_S3',
    aliases: ['AWS_ENDPOINT_URL', 'AWS_ENDPOINT'],
    urlOption: 'endpoint',
    description: "URL of an S3-compatible server, e.g. https://minio.example:9000; AWS' own without it",
  },
  {
    name: 'AWS_REGION',
    aliases: ['AWS_DEFAULT_REGION'],
    urlOption: 'region',
    description: "region; else the profile's, else us-east-1 with an endpoint, else asked of AWS",
  },
  {
    name: 'AWS_S3_FORCE_PATH_STYLE',
    urlOption: 'path_style',
    description:
      'true: https://host/bucket/key; false: https://bucket.host/key; default true with an endpoint',
  },
  {
    name: 'AWS_DUAL_STACK',
    urlOption: 'dual_stack',
    description: "true: AWS' IPv6 endpoints; default false",
  },
  {
    name: 'AWS_ACCESS_KEY_ID',
    aliases: ['AWS_ACCESS_KEY'],
    group: CREDENTIALS,
    description: 'key id of the credentials',
  },
  {
    name: 'AWS_SECRET_ACCESS_KEY',
    aliases: ['AWS_SECRET_KEY'],
    group: CREDENTIALS,
    secret: true,
    description: 'secret key of the credentials',
  },
  {
    name: 'AWS_SESSION_TOKEN',
    group: CREDENTIALS,
    secret: true,
    description: 'session token of temporary credentials',
  },
  {
    name: 'AWS_PROFILE',
    urlOption: 'profile',
    group: CREDENTIALS,
    description: 'profile of the shared files; in the URL it wins over keys, in the environment keys win',
  },
  { name: 'AWS_ROLE_ARN', group: CREDENTIALS, description: 'role to assume' },
  { name: 'AWS_ROLE_SESSION_NAME', group: CREDENTIALS, description: 'name of the session of that role' },
  {
    name: 'AWS_WEB_IDENTITY_TOKEN_FILE',
    group: CREDENTIALS,
    description: 'file with the token to assume the role with',
  },
  { name: 'AWS_SHARED_CREDENTIALS_FILE', description: 'default ~/.aws/credentials' },
  { name: 'AWS_CONFIG_FILE', description: 'default ~/.aws/config' },
  {
    name: 'S3_CA_CERT_FILE',
    urlOption: 'ca_file',
    description: 'PEM file of the authorities to trust instead of the built-in ones',
  },
  { name: 'AWS_CA_BUNDLE', description: 'the same, where S3_CA_CERT_FILE is not set' },
  {
    name: 'S3_MAX_PART_SIZE',
    urlOption: 'part_size',
    description: 'part size of multipart uploads, 5MiB to 512MiB; default 8MiB, grows for large objects',
  },
  {
    name: 'UPLOAD_CONCURRENCY',
    urlOption: 'concurrency',
    description: 'parts of one object in flight, 1 to 64; default 4',
  },
  { name: 'S3_CHECKSUM', urlOption: 'checksum', description: 'none, crc32 or crc32c; default none' },
  {
    name: 'S3_SIGN_PAYLOAD',
    urlOption: 'sign_payload',
    description: 'true: sign the SHA-256 of every body; false only over https; default false over https',
  },
  {
    name: 'S3_CONDITIONAL_PUT',
    urlOption: 'conditional_put',
    description: 'false: the store has no If-None-Match and If-Match on writes; default true',
  },
  { name: 'S3_STORAGE_CLASS', urlOption: 'storage_class', description: "default: the bucket's" },
  { name: 'S3_SSE', urlOption: 'sse', description: 'AES256 or aws:kms' },
  { name: 'S3_SSE_KMS_ID', urlOption: 'sse_kms_id', description: 'key of aws:kms' },
  { name: 'S3_SSE_C', secret: true, description: "customer's key, 32 bytes in base64 or as text" },
  { name: 'S3_MAX_RETRIES', urlOption: 'max_retries', description: 'of one request, 0 to 100; default 10' },
  {
    name: 'S3_RANGE_MAX_RETRIES',
    description: 'broken reads in a row that are resumed, 0 to 100; default 10',
  },
  { name: 'S3_MIN_THROTTLING_RETRY_DELAY', description: 'milliseconds, 1 to 60000; default 500' },
  { name: 'S3_MAX_THROTTLING_RETRY_DELAY', description: 'milliseconds, 1 to 600000; default 20000' },
  {
    name: 'S3_CONNECT_TIMEOUT_MS',
    urlOption: 'connect_timeout_ms',
    description: '100 to 600000; default 10000',
  },
  {
    name: 'S3_IDLE_TIMEOUT_MS',
    urlOption: 'idle_timeout_ms',
    description: 'a connection on which nothing moves is given up, 100 to 3600000; default 60000',
  },
  { name: 'S3_DELETE_BATCH_SIZE', description: 'keys of one DeleteObjects, 1 to 1000; default 1000' },
];

/** WAL-G's settings whose meaning would be lost without a word if they were ignored: refused when set. */
export const refusedSettings: readonly { readonly name: string; readonly reason: string }[] = [
  { name: 'CSE_KMS_ID', reason: 'client-side encryption is not supported; objects would be stored readable' },
  {
    name: 'S3_RETENTION_PERIOD',
    reason: 'object lock is not supported; set a default retention on the bucket',
  },
  {
    name: 'S3_ENDPOINT_SOURCE',
    reason: 'a changing endpoint is not supported; give one by AWS_ENDPOINT_URL_S3',
  },
];
