'use strict';
// The one door to the workspace on a machine with Node 20 and npm and nothing else: installs what the lockfile
// says, builds, and runs the named task on a Node that the workspace supports.
//   node scripts/bootstrap.cjs build | demo | check | bench | soak | new [ARGUMENT …]
const { spawnSync } = require('node:child_process');
const { existsSync, readFileSync, statSync } = require('node:fs');
const path = require('node:path');

const root = path.dirname(__dirname);
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const tasks = {
  build: undefined,
  demo: 'scripts/demo.ts',
  check: 'scripts/check.ts',
  bench: 'bench/run.ts',
  soak: 'scripts/soak/main.ts',
  new: 'scripts/new-package.ts',
};
const bin = path.join(root, 'node_modules', '.bin');
const env = {
  ...process.env,
  TURBO_TELEMETRY_DISABLED: '1',
  DO_NOT_TRACK: '1',
  PATH: bin + path.delimiter + (process.env.PATH ?? ''),
};

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' });
  if (result.error) fail(`could not run ${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function fail(message) {
  console.error(`bootstrap: ${message}`);
  process.exit(1);
}

function installIsCurrent() {
  const marker = path.join(root, 'node_modules', '.modules.yaml');
  const lockfile = path.join(root, 'pnpm-lock.yaml');
  return existsSync(marker) && statSync(marker).mtimeMs >= statSync(lockfile).mtimeMs;
}

/** The Node that runs our code: the workspace's own from the registry, else the host's when it is new enough. */
function supportedNode() {
  const shipped = path.join(bin, process.platform === 'win32' ? 'node.cmd' : 'node');
  if (existsSync(shipped)) return shipped;
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return process.execPath;
  return fail(
    `this checkout needs Node 22.18 or newer on ${process.platform}-${process.arch}; this is ${process.version}`,
  );
}

const [task, ...args] = process.argv.slice(2);
if (!Object.hasOwn(tasks, task ?? ''))
  fail(`expected one of ${Object.keys(tasks).join(', ')}, found ${task}`);
const pnpm = ['--yes', manifest.packageManager];
if (!installIsCurrent()) run('npx', [...pnpm, 'install', '--frozen-lockfile']);
run('npx', [...pnpm, 'exec', 'turbo', 'run', 'build', '--output-logs=errors-only', '--log-order=grouped']);
if (tasks[task] !== undefined) run(supportedNode(), [tasks[task], ...args]);
