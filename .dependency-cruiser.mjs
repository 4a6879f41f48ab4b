// Boundaries of the house (docs/ARCHITECTURE.md): who may import whom, checked on the sources.

/** What each package may import of ours; a package that is not here may import nothing of ours. */
const MAY_IMPORT = {
  'storage-conformance': ['storage-core'],
  'storage-fs': ['storage-core'],
  'storage-s3': ['storage-core'],
  'postgres-process': ['postgres'],
  'cluster-testkit': ['postgres', 'postgres-process'],
  'format-core': ['storage-core', 'postgres'],
  'format-pgdata': ['format-core', 'storage-core', 'postgres', 'archive'],
  'neon-layer': ['storage-core', 'postgres'],
  'format-neon': ['format-core', 'storage-core', 'postgres', 'archive', 'neon-layer'],
  repository: ['storage-core'],
};
const EVERYTHING_OWN = ['storage-core', 'postgres', 'archive', 's3-test-server'];
const NOT_SHIPPED = '(\\.test\\.ts$|/testing/|/scripts/)';

const boundaries = [...Object.entries(MAY_IMPORT), ...EVERYTHING_OWN.map((name) => [name, []])].map(
  ([name, allowed]) => ({
    name: `${name}-imports`,
    comment: `${name} may import ${allowed.join(', ') || 'no package of ours'}`,
    severity: 'error',
    from: { path: `^packages/${name}/`, pathNot: NOT_SHIPPED },
    to: { path: '^packages/', pathNot: `^packages/(${[name, ...allowed].join('|')})/` },
  }),
);

export default {
  forbidden: [
    ...boundaries,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-deep-imports',
      comment: 'a package is imported by its index only',
      severity: 'error',
      from: { path: '^packages/([^/]+)/' },
      to: { path: '^packages/([^/]+)/src/', pathNot: ['^packages/$1/', '^packages/[^/]+/src/index\\.ts$'] },
    },
    {
      name: 'implementations-in-one-module',
      comment: 'only the plugin module of the CLI names backends and formats',
      severity: 'error',
      from: { path: '^packages/cli/src/', pathNot: ['^packages/cli/src/plugins\\.ts$', NOT_SHIPPED] },
      to: { path: '^packages/(storage-(?!core)|format-(?!core))' },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, dependencyTypesNot: ['core'] },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@neon-snapshot/source', 'import', 'node', 'default'],
      extensions: ['.ts', '.js'],
    },
    exclude: { path: '(^|/)dist/' },
  },
};
