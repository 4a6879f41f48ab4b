import { defineConfig } from 'vitest/config';

const SOURCE_CONDITION = '@neon-snapshot/source';

export default defineConfig({
  // Vitest gives these to its workers as `--conditions`; `import` here would make CommonJS packages require ES modules.
  resolve: { conditions: [SOURCE_CONDITION, 'node'] },
  ssr: { resolve: { conditions: [SOURCE_CONDITION, 'node'] } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'scripts/**/*.test.ts'],
    pool: 'forks',
    // Workers and child Nodes of the tests resolve workspace packages to their sources too.
    execArgv: [`--conditions=${SOURCE_CONDITION}`],
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
