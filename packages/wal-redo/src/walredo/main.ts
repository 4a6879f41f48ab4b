/** `neon-walredo`: stands in for `postgres --wal-redo` under a Neon page server. */
import { parseArgs } from 'node:util';
import type { HeapLayout } from '../heap-layout.ts';
import { createRedoEngine } from '../redo-engine.ts';
import { isRedoError } from '../redo-error.ts';
import { installWrappers } from './install.ts';
import { servePipe } from './serve-pipe.ts';

const USAGE = `usage: neon-walredo --major=14|15|16|17 [--heap-layout=neon|stock]
       neon-walredo install DIR

The first form answers redo requests on stdin and stdout, in the protocol of
"postgres --wal-redo"; --wal-redo and --tenant-shard-id are accepted.
The second writes DIR/v14/bin/postgres and so on, for a page server's pg_distrib_dir.

  --major        the major version of the cluster whose WAL it is
  --heap-layout  whose Postgres wrote the WAL (default: neon)
  -h, --help     print this
`;

const EXIT_USAGE = 2;

/** Runs the command line; gives the exit code. `bin`: the launcher's path, for the wrappers. */
export function main(args: readonly string[], bin: string): number {
  try {
    return run(args, bin);
  } catch (error) {
    process.stderr.write(`neon-walredo: ${error instanceof Error ? error.message : error}\n`);
    const isUsage = error instanceof TypeError || isRedoError(error, 'REDO_OPTION');
    if (isUsage) process.stderr.write(USAGE);
    return isUsage ? EXIT_USAGE : 1;
  }
}

function run(args: readonly string[], bin: string): number {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      major: { type: 'string' },
      'heap-layout': { type: 'string', default: 'neon' },
      'wal-redo': { type: 'boolean' },
      'tenant-shard-id': { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const [command, directory, ...rest] = positionals;
  if (command === 'install' && directory !== undefined && rest.length === 0) {
    for (const path of installWrappers(directory, bin)) process.stdout.write(`${path}\n`);
    return 0;
  }
  if (command !== undefined) throw new TypeError(`"${positionals.join(' ')}" is no command`);
  const heapLayout = parseHeapLayout(values['heap-layout']);
  // Neon's redo does not log hint bits, whatever the cluster does.
  const engine = createRedoEngine({ major: Number(values.major), heapLayout, hintBitsLogged: false });
  servePipe(engine, { input: 0, output: 1 });
  return 0;
}

function parseHeapLayout(text: string): HeapLayout {
  if (text === 'neon' || text === 'stock') return text;
  throw new TypeError(`--heap-layout=${text} is neither neon nor stock`);
}
