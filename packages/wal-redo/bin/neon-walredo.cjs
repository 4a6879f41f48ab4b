#!/usr/bin/env node
'use strict';
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const main = path.join(__dirname, '..', 'dist', 'neon-walredo.js');
require('node:module').enableCompileCache?.();
import(pathToFileURL(main).href).then((module) => {
  process.exitCode = module.main(process.argv.slice(2), __filename);
});
