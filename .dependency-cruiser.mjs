// Boundaries of the house, checked on what the compiler emits from the sources into .cache/js (`npm run types`): the
// parsers that dependency-cruiser brings do not know TypeScript 7 and `await using`. scripts/check-boundaries.ts links the
// emitted packages to each other.
import { MAY_IMPORT } from './scripts/boundaries.mjs';

const EMITTED = '.cache/js/packages';
const NOT_SHIPPED = '(\\.test\\.js$|/testing/|/scripts/)';

const boundaries = Object.entries(MAY_IMPORT).map(([name, allowed]) => ({
  name: `${name}-imports`,
  comment: `${name} may import ${allowed.join(', ') || 'no package of ours'}`,
  severity: 'error',
  from: { path: `^${EMITTED}/${name}/`, pathNot: NOT_SHIPPED },
  to: { path: `^${EMITTED}/`, pathNot: `^${EMITTED}/(${[name, ...allowed].join('|')})/` },
}));

export default {
  forbidden: [
    ...boundaries,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-deep-imports',
      comment: 'a package is imported by its index only',
      severity: 'error',
      from: { path: `^${EMITTED}/([^/]+)/` },
      to: { path: `^${EMITTED}/`, pathNot: [`^${EMITTED}/$1/`, `^${EMITTED}/[^/]+/src/index\\.js$`] },
    },
    {
      name: 'implementations-in-one-module',
      comment: 'only the plugin module of the CLI names backends and formats',
      severity: 'error',
      from: { path: `^${EMITTED}/cli/src/`, pathNot: ['/plugins\\.js$', NOT_SHIPPED] },
      to: { path: `^${EMITTED}/(storage-(?!core)|format-(?!core))` },
    },
    {
      name: 'own-imports-resolve',
      severity: 'error',
      from: {},
      to: { path: '^@neon-snapshot/', couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.js'] },
  },
};
