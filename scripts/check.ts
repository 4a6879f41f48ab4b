// `npm test`: every check of the workspace, in the order in which a failure is cheapest to read.
// Arguments are passed on to vitest: `npm test -- packages/postgres` runs all static checks and that folder's tests.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TESTS_OF_CI } from './tests-of-ci.ts';

interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

interface TestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

const STATIC_STEPS: readonly Step[] = [
  { name: 'formatting and lint', command: 'biome', args: ['check', '--error-on-warnings', '.'] },
  { name: 'types', command: 'tsc', args: ['-p', 'tsconfig.json'] },
  { name: 'boundaries', command: 'node', args: ['scripts/check-boundaries.ts'] },
  { name: 'dead exports and dependencies', command: 'knip', args: ['--no-progress', '--no-config-hints'] },
  { name: 'package manifests', command: 'node', args: ['scripts/check-packages.ts'] },
];

let passed = 0;
let failed = 0;
for (const step of STATIC_STEPS) {
  if (runStep(step)) passed += 1;
  else failed += 1;
}
const tests = runTests(process.argv.slice(2));
passed += tests.passed;
failed += tests.failed;
console.log(`\n${passed} passed, ${failed} failed${tests.skipped > 0 ? `, ${tests.skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;

function runStep(step: Step): boolean {
  const started = performance.now();
  const result = spawnSync(step.command, [...step.args], { encoding: 'utf8', env: toolEnvironment() });
  const ok = result.status === 0;
  console.log(`${ok ? '✓' : '✗'} ${step.name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  if (!ok) console.log(result.error?.message ?? `${result.stdout}${result.stderr}`);
  return ok;
}

function runTests(args: readonly string[]): { passed: number; failed: number; skipped: number } {
  const directory = mkdtempSync(path.join(tmpdir(), 'neon-check-'));
  const reportFile = path.join(directory, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
    const isShort = args.length === 0 && process.env.CI === undefined;
    const left = isShort ? TESTS_OF_CI.map((file) => `--exclude=${file}`) : [];
    if (isShort) console.log(`(${left.length} files of long tests are left to CI: scripts/tests-of-ci.ts)`);
    const result = spawnSync('vitest', ['run', ...reporters, ...left, ...args], {
      stdio: 'inherit',
      env: toolEnvironment(),
    });
    const report = JSON.parse(readFileSync(reportFile, 'utf8')) as TestReport;
    // A file that failed before its first test has no failed test of its own.
    const brokenFiles = report.testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    );
    const failures = report.numFailedTests + brokenFiles.length;
    return {
      passed: report.numPassedTests,
      failed: failures === 0 && result.status !== 0 ? 1 : failures,
      skipped: report.numPendingTests,
    };
  } catch (error) {
    console.log(`✗ tests: no report (${error instanceof Error ? error.message : String(error)})`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function toolEnvironment(): NodeJS.ProcessEnv {
  const bin = path.resolve('node_modules/.bin');
  return { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ''}` };
}
