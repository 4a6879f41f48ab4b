import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { lookAtDirectory } from './writable-directory.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'neon-writable-'));
  await chmod(directory, 0o755);
  await mkdir(path.join(directory, 'closed'), { mode: 0o555 });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it('looks at the nearest directory that is there', async () => {
  const below = path.join(directory, 'not', 'there');
  expect(await lookAtDirectory(below)).toEqual({ existing: directory, isWritable: true });
  expect(await lookAtDirectory(import.meta.filename)).toMatchObject({ isWritable: false });
});

it('sees that a directory may not be written', async () => {
  // Root may write everywhere, so somebody else has to look.
  const module = path.join(import.meta.dirname, 'writable-directory.ts');
  const source = `import { lookAtDirectory } from ${JSON.stringify(module)};
    process.setuid?.(65534);
    console.log(JSON.stringify(await lookAtDirectory(${JSON.stringify(path.join(directory, 'closed/below'))})));`;
  const script = process.getuid?.() === 0 ? source : source.replace(/process\.setuid.*;/, '');
  const argv = ['--conditions=@neon-snapshot/source', '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)(process.execPath, argv);
  expect(JSON.parse(stdout)).toEqual({ existing: path.join(directory, 'closed'), isWritable: false });
});
