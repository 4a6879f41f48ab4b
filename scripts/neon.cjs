'use strict';
// `npm run -s neon -- …`: the checkout's CLI. npm runs scripts in the root; relative paths are meant from where the user is.
process.chdir(process.env.INIT_CWD ?? process.cwd());
require('../packages/cli/bin/neon.cjs');
