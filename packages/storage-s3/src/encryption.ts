import type { S3Encryption } from './options.ts';

interface CustomerKeyFields {
  readonly SSECustomerAlgorithm?: 'AES256';
  readonly SSECustomerKey?: string;
}

interface WriteFields extends CustomerKeyFields {
  readonly ServerSideEncryption?: 'AES256' | 'aws:kms';
  readonly SSEKMSKeyId?: string;
}

/** Encryption as the input of a request that makes an object. */
export function encryptionFields(encryption: S3Encryption | undefined): WriteFields {
  switch (encryption?.kind) {
    case 'AES256':
      return { ServerSideEncryption: 'AES256' };
    case 'aws:kms':
      return {
        ServerSideEncryption: 'aws:kms',
        ...(encryption.keyId === undefined ? {} : { SSEKMSKeyId: encryption.keyId }),
      };
    default:
      return customerKeyFields(encryption);
  }
}

/** The customer's key, which reads, heads and parts must carry too. The SDK adds its MD5. */
export function customerKeyFields(encryption: S3Encryption | undefined): CustomerKeyFields {
  if (encryption?.kind !== 'customer') return {};
  return {
    SSECustomerAlgorithm: 'AES256',
    SSECustomerKey: Buffer.from(encryption.key).toString('base64'),
  };
}

/** The same key for the source of a copy. */
export function copySourceKeyFields(encryption: S3Encryption | undefined): {
  readonly CopySourceSSECustomerAlgorithm?: 'AES256';
  readonly CopySourceSSECustomerKey?: string;
} {
  const { SSECustomerKey } = customerKeyFields(encryption);
  if (SSECustomerKey === undefined) return {};
  return { CopySourceSSECustomerAlgorithm: 'AES256', CopySourceSSECustomerKey: SSECustomerKey };
}
