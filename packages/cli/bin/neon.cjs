#!/usr/bin/env node
'use strict';
// Starts the CLI on a Node that it supports: this one, or the one that the package `node-linux-*` ships.
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const FLOOR = [22, 15];
const main = path.join(__dirname, '..', 'dist', 'main.js');
const [major, minor] = process.versions.node.split('.').map(Number);

if (major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1])) {
  require('node:module').enableCompileCache?.();
  import(pathToFileURL(main).href);
} else {
  respawn(shippedNode());
}

function shippedNode() {
  try {
    return require.resolve(`node-${process.platform}-${process.arch}/bin/node`);
  } catch {
    console.error(
      `neon: needs Node.js ${FLOOR.join('.')} or newer, this is ${process.version}; install a newer Node.js`,
    );
    return process.exit(1);
  }
}

function respawn(node) {
  const child = require('node:child_process').spawn(node, [__filename, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
