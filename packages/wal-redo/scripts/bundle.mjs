// Bundles neon-walredo into dist/neon-walredo.js, with the code of ours that it needs: page servers start it often, and
// loading a hundred modules takes longer than all else. What is native stays outside and is found where our package has it.
import { build } from 'esbuild';

const nativeOfPostgres = {
  name: 'native-of-postgres',
  setup(bundle) {
    const filter = /^@node-rs\/crc32$/;
    bundle.onResolve({ filter }, ({ path }) => ({ path, namespace: 'native' }));
    bundle.onLoad({ filter, namespace: 'native' }, () => ({
      contents: [
        "import { createRequire } from 'node:module';",
        "const owner = createRequire(import.meta.url).resolve('@neon-snapshot/postgres');",
        "export const { crc32c } = createRequire(owner)('@node-rs/crc32');",
      ].join('\n'),
    }));
  },
};

await build({
  entryPoints: ['src/walredo/main.ts'],
  outfile: 'dist/neon-walredo.js',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.15',
  conditions: ['@neon-snapshot/source'],
  plugins: [nativeOfPostgres],
  logLevel: 'warning',
});
