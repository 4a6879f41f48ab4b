// Bundles the CLI's own code and its parser into dist/, one chunk a command; our packages and their SDKs stay outside
// and are loaded when they are first used. Start-up is what this is for: see bench/README.md.
import { rm } from 'node:fs/promises';
import { build } from 'esbuild';

await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: ['src/main.ts'],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.15',
  chunkNames: 'chunks/[name]-[hash]',
  external: ['@neon-snapshot/*'],
  // yargs' dependencies ask for `require` of Node's own modules.
  banner: {
    js: "import { createRequire as createBundleRequire } from 'node:module'; const require = createBundleRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
