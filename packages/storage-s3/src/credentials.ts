import type { S3ClientConfig } from '@aws-sdk/client-s3';
import {
  fromIni,
  fromNodeProviderChain,
  fromTemporaryCredentials,
  fromTokenFile,
} from '@aws-sdk/credential-providers';
import type { S3StorageOptions } from './options.ts';

const ROLE_SESSION_NAME = 'neon-snapshot';

export interface S3CredentialSource {
  readonly provider: NonNullable<S3ClientConfig['credentials']>;
  /** For messages: where the credentials come from, never a secret. */
  readonly description: string;
}

/**
 * The first of: keys given, web identity token, profile, the SDK's own chain (SSO, process, container, instance). With
 * a role and no token, the role is assumed with what was found. Temporary credentials are renewed by the SDK.
 */
export function resolveCredentials(options: S3StorageOptions, region: string): S3CredentialSource {
  const base = baseCredentials(options, region);
  if (options.roleArn === undefined || options.webIdentityTokenFile !== undefined) return base;
  return {
    provider: fromTemporaryCredentials({
      masterCredentials: base.provider,
      params: {
        RoleArn: options.roleArn,
        RoleSessionName: options.roleSessionName ?? ROLE_SESSION_NAME,
      },
      clientConfig: { region },
    }),
    description: `role ${options.roleArn}, assumed with ${base.description}`,
  };
}

function baseCredentials(options: S3StorageOptions, region: string): S3CredentialSource {
  const from = options.credentialSource === undefined ? '' : ` from ${options.credentialSource}`;
  if (options.credentials !== undefined)
    return {
      provider: { ...options.credentials },
      description: `key id ${options.credentials.accessKeyId}${from}`,
    };
  if (options.webIdentityTokenFile !== undefined)
    return {
      provider: fromTokenFile({
        webIdentityTokenFile: options.webIdentityTokenFile,
        ...(options.roleArn === undefined ? {} : { roleArn: options.roleArn }),
        roleSessionName: options.roleSessionName ?? ROLE_SESSION_NAME,
        clientConfig: { region },
      }),
      description: `web identity token ${options.webIdentityTokenFile}${from}`,
    };
  const files = sharedFiles(options);
  if (options.profile !== undefined)
    return {
      provider: fromIni({ profile: options.profile, ...files, clientConfig: { region } }),
      description: `profile ${options.profile}${from}`,
    };
  return {
    provider: fromNodeProviderChain({ ...files, clientConfig: { region } }),
    description: "no keys in the environment, the SDK's chain was asked",
  };
}

/** Locations of the shared files in the form that the SDK's loaders take. */
export function sharedFiles(options: S3StorageOptions): { filepath?: string; configFilepath?: string } {
  return {
    ...(options.sharedCredentialsFile === undefined ? {} : { filepath: options.sharedCredentialsFile }),
    ...(options.sharedConfigFile === undefined ? {} : { configFilepath: options.sharedConfigFile }),
  };
}
