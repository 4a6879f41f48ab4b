// Links what the compiler emitted (.cache/js) into a small workspace of its own and runs dependency-cruiser on it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const EMITTED = '.cache/js';
const scope = path.join(EMITTED, 'node_modules/@neon-snapshot');
rmSync(scope, { recursive: true, force: true });
mkdirSync(scope, { recursive: true });
for (const name of readdirSync(path.join(EMITTED, 'packages'))) {
  const folder = path.join(EMITTED, 'packages', name);
  writeFileSync(
    path.join(folder, 'package.json'),
    JSON.stringify({ name, type: 'module', main: 'src/index.js' }),
  );
  symlinkSync(path.resolve(folder), path.join(scope, name));
}
const args = ['--config', '.dependency-cruiser.mjs', path.join(EMITTED, 'packages')];
const result = spawnSync('depcruise', args, { stdio: 'inherit' });
process.exitCode = result.status ?? 1;
