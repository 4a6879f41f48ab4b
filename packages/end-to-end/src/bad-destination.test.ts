import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { makeTestCluster, type TestCluster } from '@neon-snapshot/cluster-testkit';
import { type S3TestServer, startS3TestServer } from '@neon-snapshot/s3-test-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeScratchDirectory, type ScratchDirectory } from './testing/directory.ts';
import { filesBelow } from './testing/files-below.ts';
import { neon } from './testing/neon-cli.ts';
import { neonFailure } from './testing/neon-failure.ts';
import { canMount, MOUNT_NOTE, mountSmallDisk } from './testing/small-disk.ts';

const MIB = 2 ** 20;
/** Of a permanent failure, on a busy machine; starting the program is part of it. */
const PATIENCE_SECONDS = 25;
const TIMEOUT = { timeout: 120_000 } as const;
const SECRETS = {
  AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+hostile-secret',
  AWS_SESSION_TOKEN: 'hostile-token-0123456789-hostile',
};

let scratch: ScratchDirectory;
let cluster: TestCluster;
let server: S3TestServer;
/** A bucket with the cluster in it. */
let bucket: string;

beforeAll(async () => {
  scratch = await makeScratchDirectory();
  server = await startS3TestServer({ buckets: ['app'] });
  cluster = await makeTestCluster({ major: 16, scale: 0.2, dataDirectory: at('source') });
  bucket = at('bucket');
  await neon(['init', '-D', at('repository'), ...from(), `--storage_dest=${bucket}`]);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

const at = (name: string) => path.join(scratch.path, name);
const from = () => [`--snapshot_path=${cluster.dataDirectory}`, '--snapshot_format=pgdata'];

/** Both directions: into a store that is in the way, and out of it. */
const DIRECTIONS = [
  ['an import into', (url: string) => ['init', '-D', at('never'), ...from(), `--storage_dest=${url}`]],
  ['an export from', (url: string) => ['export', `--storage_dest=${url}`, `--snapshot_path=${at('never')}`]],
] as const;

const s3Env = () => ({
  AWS_ENDPOINT: server.endpoint,
  AWS_REGION: server.region,
  AWS_ACCESS_KEY_ID: server.accessKeyId,
  AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
});

interface StoreFailure {
  readonly what: string;
  readonly url?: string;
  readonly env: () => Readonly<Record<string, string>>;
  readonly code: string;
  readonly says: RegExp;
}

const STORE_FAILURES: readonly StoreFailure[] = [
  {
    what: 'a store with another secret key',
    env: () => ({ AWS_SECRET_ACCESS_KEY: SECRETS.AWS_SECRET_ACCESS_KEY }),
    code: 'STORAGE_ACCESS_DENIED',
    says: /refused list of s3:\/\/app\/p: the secret key does not belong to this key id.*key id TESTKEY from/,
  },
  {
    what: 'a store that does not know the key, with a token',
    env: () => ({ ...SECRETS, AWS_ACCESS_KEY_ID: 'AKIAHOSTILE' }),
    code: 'STORAGE_ACCESS_DENIED',
    says: /does not know this key id.*AKIAHOSTILE/,
  },
  {
    what: 'a bucket that does not exist',
    url: 's3://nowhere/p',
    env: () => ({}),
    code: 'STORAGE_BUCKET_NOT_FOUND',
    says: /no bucket nowhere at http:\/\/127\.0\.0\.1:\d+; create it first, or check the endpoint/,
  },
  {
    what: 'a port where nobody listens',
    env: () => ({ ...SECRETS, AWS_ENDPOINT: 'http://127.0.0.1:1' }),
    code: 'STORAGE_UNAVAILABLE',
    says: /http:\/\/127\.0\.0\.1:1 refuses the connection/,
  },
  {
    what: 'a host that does not exist',
    env: () => ({ ...SECRETS, AWS_ENDPOINT: 'http://no-such-host.invalid' }),
    code: 'STORAGE_UNAVAILABLE',
    says: /no-such-host\.invalid has a host name that (does not resolve|could not be resolved)/,
  },
  {
    what: 'a plain port by https',
    env: () => ({ ...SECRETS, AWS_ENDPOINT: server.endpoint.replace('http:', 'https:') }),
    code: 'STORAGE_UNAVAILABLE',
    says: /does not speak TLS; is it an http:\/\/ endpoint/,
  },
];

describe.each(DIRECTIONS)('%s', (_, argv) => {
  it.each(STORE_FAILURES)(
    '$what fails soon, with a reason and without a secret',
    TIMEOUT,
    async (failure) => {
      const outcome = await neonFailure(argv(failure.url ?? 's3://app/p'), { ...s3Env(), ...failure.env() });
      expect(outcome).toMatchObject({ code: failure.code, exitCode: 1 });
      expect(outcome.message).toMatch(failure.says);
      expect(outcome.seconds).toBeLessThan(PATIENCE_SECONDS);
      for (const secret of [...Object.values(SECRETS), server.secretAccessKey])
        expect(outcome.output).not.toContain(secret);
      expect(server.keys('app')).toEqual([]);
      expect(await filesBelow(at('never'))).toEqual([]);
    },
  );

  it('a web console that answers 200 to everything is no success', TIMEOUT, async () => {
    const web = createServer((_request, response) => void response.end('<html><body>console</body></html>'));
    web.listen(0, '127.0.0.1');
    await once(web, 'listening');
    const address = web.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const env = { ...s3Env(), AWS_ENDPOINT: `http://127.0.0.1:${port}` };
    const outcome = await neonFailure(argv('s3://app/p'), env);
    web.close();
    expect(outcome).toMatchObject({ code: 'STORAGE_IO', exitCode: 1 });
    expect(outcome.message).toMatch(/not from S3.*endpoint of the S3 API/);
    expect(await filesBelow(at('never'))).toEqual([]);
  });
});

describe('an export', () => {
  it('into a directory with a file in it is refused, and the file stays', TIMEOUT, async () => {
    const directory = at('source');
    const failure = await neonFailure(['export', `--storage_dest=${bucket}`, `--snapshot_path=${directory}`]);
    expect(failure).toMatchObject({ code: 'FORMAT_NOT_EMPTY', exitCode: 1 });
    expect(failure.message).toMatch(/is not empty: it has .*; give an empty or a new directory/);
    await writeFile(at('file'), 'mine');
    const onFile = await neonFailure(['export', `--storage_dest=${bucket}`, `--snapshot_path=${at('file')}`]);
    expect(onFile).toMatchObject({ code: 'STORAGE_BUCKET_NOT_FOUND', exitCode: 1 });
    expect(onFile.message).toContain(`${at('file')} is not a directory`);
  });
});

describe.runIf(canMount)(`a disk${MOUNT_NOTE}`, () => {
  it('that fills up during an import is STORAGE_NO_SPACE, and no object stays', TIMEOUT, async () => {
    await using disk = await mountSmallDisk(at('small-1'), 2 * MIB);
    const destination = path.join(disk.path, 'bucket');
    const failure = await neonFailure([
      'init',
      '-D',
      at('never'),
      ...from(),
      `--storage_dest=${destination}`,
    ]);
    expect(failure).toMatchObject({ code: 'STORAGE_NO_SPACE', exitCode: 1 });
    expect(failure.message).toMatch(/small-1\/bucket\/.*: the file system is full/);
    expect(await filesBelow(disk.path)).toEqual([]);
    expect(await filesBelow(at('never'))).toEqual([]);
  });

  it('that is too small for an export is FORMAT_NO_SPACE before anything is written', TIMEOUT, async () => {
    await using disk = await mountSmallDisk(at('small-2'), 4 * MIB);
    const failure = await neonFailure([
      'export',
      `--storage_dest=${bucket}`,
      `--snapshot_path=${disk.path}/x`,
    ]);
    expect(failure).toMatchObject({ code: 'FORMAT_NO_SPACE', exitCode: 1 });
    expect(failure.message).toMatch(/small-2\/x has 4\.0 MiB free; the snapshot needs about \d+\.\d MiB/);
    expect(await filesBelow(disk.path)).toEqual([]);
  });

  it(
    'that somebody else fills during an export is STORAGE_NO_SPACE, and no file stays',
    TIMEOUT,
    async () => {
      await using disk = await mountSmallDisk(at('small-3'), 64 * MIB);
      const directory = path.join(disk.path, 'x');
      const argv = ['export', `--storage_dest=${bucket}`, `--snapshot_path=${directory}`, '--max_rate=8M'];
      const exporting = neonFailure(argv);
      while ((await filesBelow(directory)).length === 0)
        await new Promise((resolve) => setTimeout(resolve, 20));
      // As much as there is, in pieces, until the disk is full.
      for (let index = 0; ; index++) {
        const wrote = await writeFile(path.join(disk.path, `hog-${index}`), Buffer.alloc(MIB)).then(
          () => true,
          () => false,
        );
        if (!wrote) break;
      }
      const failure = await exporting;
      expect(failure).toMatchObject({ code: 'STORAGE_NO_SPACE', exitCode: 1 });
      expect(await filesBelow(directory)).toEqual([]);
    },
  );

  it('that is read-only is named, by import, export and for the repository', TIMEOUT, async () => {
    await using disk = await mountSmallDisk(at('read-only'), 64 * MIB);
    await disk.makeReadOnly();
    const target = path.join(disk.path, 'x');
    const failures = [
      await neonFailure(['init', '-D', at('never'), ...from(), `--storage_dest=${target}`]),
      await neonFailure(['export', `--storage_dest=${bucket}`, `--snapshot_path=${target}`]),
    ];
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: 'STORAGE_ACCESS_DENIED', exitCode: 1 });
      expect(failure.message).toContain('the file system is mounted read-only');
    }
    const repository = await neonFailure(['init', '-D', target, ...from(), `--storage_dest=${at('other')}`]);
    expect(repository).toMatchObject({ code: 'CLI_REPOSITORY_UNWRITABLE', exitCode: 1 });
    expect(await filesBelow(at('other'))).toEqual([]);
  });
});
