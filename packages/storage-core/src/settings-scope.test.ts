import { describe, expect, test } from 'vitest';
import { parseStorageUrl } from './parse-storage-url.ts';
import { resolveSettings } from './resolve-settings.ts';
import { createSettingsScope } from './settings-scope.ts';

const CREDENTIAL = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'];

describe('a settings scope', () => {
  test("prefers the name of its role, then the plain one, then WAL-G's", () => {
    const env = {
      NEON_STORAGE_AWS_REGION: 'storage',
      NEON_SNAPSHOT_AWS_REGION: 'snapshot',
      AWS_REGION: 'plain',
      WALG_AWS_REGION: 'walg',
      WALG_S3_SSE: 'AES256',
    };
    expect(createSettingsScope({ role: 'storage', env }).get('AWS_REGION')).toBe('storage');
    expect(createSettingsScope({ role: 'snapshot', env }).get('AWS_REGION')).toBe('snapshot');
    const { NEON_STORAGE_AWS_REGION: _, ...plain } = env;
    expect(createSettingsScope({ role: 'storage', env: plain }).get('AWS_REGION')).toBe('plain');
    expect(createSettingsScope({ role: 'storage', env }).get('S3_SSE')).toBe('AES256');
    expect(createSettingsScope({ role: 'storage', env }).get('S3_NONE')).toBeUndefined();
  });

  test('takes an empty value for none, and an alias where the name is not set', () => {
    const env = { NEON_STORAGE_AWS_ENDPOINT: '', AWS_ENDPOINT_URL: 'http://alias' };
    const scope = createSettingsScope({ role: 'storage', env });
    expect(scope.get('AWS_ENDPOINT', ['AWS_ENDPOINT_URL'])).toBe('http://alias');
  });

  test('warns of two names that disagree, without their values', () => {
    const warnings: string[] = [];
    const env = { AWS_ENDPOINT: 'http://one', AWS_ENDPOINT_URL: 'http://two' };
    const scope = createSettingsScope({ role: 'storage', env, warn: (message) => warnings.push(message) });
    expect(scope.get('AWS_ENDPOINT', ['AWS_ENDPOINT_URL'])).toBe('http://one');
    expect(warnings).toEqual(['AWS_ENDPOINT and AWS_ENDPOINT_URL differ; AWS_ENDPOINT is used']);
  });

  test('takes a credential group whole from the first place that has any of it', () => {
    const env = {
      NEON_SNAPSHOT_AWS_PROFILE: 'backup',
      AWS_ACCESS_KEY_ID: 'id',
      AWS_SECRET_ACCESS_KEY: 'secret',
    };
    expect(createSettingsScope({ role: 'snapshot', env }).group(CREDENTIAL)).toEqual({
      source: 'NEON_SNAPSHOT_*',
      values: { AWS_PROFILE: 'backup' },
    });
    expect(createSettingsScope({ role: 'storage', env }).group(CREDENTIAL)).toEqual({
      source: 'environment',
      values: { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' },
    });
    expect(createSettingsScope({ role: 'storage', env: {} }).group(CREDENTIAL)).toEqual({
      source: 'none',
      values: {},
    });
  });
});

describe('settings of a backend', () => {
  const descriptions = [
    { name: 'AWS_REGION', urlOption: 'region', default: 'us-east-1', description: 'region' },
    { name: 'AWS_ENDPOINT', urlOption: 'endpoint', aliases: ['AWS_ENDPOINT_URL'], description: 'server' },
    { name: 'AWS_SECRET_ACCESS_KEY', secret: true, group: 'credentials', description: 'secret' },
  ];
  const resolve = (url: string, env: Record<string, string>) =>
    resolveSettings({
      location: parseStorageUrl(url),
      scope: createSettingsScope({ role: 'storage', env }),
      descriptions,
    });

  test('come from the URL, then the scope, then the default; groups are left to the scope', () => {
    const env = { AWS_REGION: 'env', AWS_ENDPOINT_URL: 'http://env', AWS_SECRET_ACCESS_KEY: 's' };
    expect([...resolve('s3://b?region=url', env)]).toEqual([
      ['AWS_REGION', 'url'],
      ['AWS_ENDPOINT', 'http://env'],
    ]);
    expect([...resolve('s3://b', {})]).toEqual([['AWS_REGION', 'us-east-1']]);
  });

  test('that are not known are refused with the nearest name', () => {
    expect(() => resolve('s3://b?regoin=x', {})).toThrow('did you mean "region"?');
    expect(() => resolve('s3://b?colour=x', {})).toThrow('known: region, endpoint');
  });
});
