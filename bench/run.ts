// The benchmarks of import, export, redo and start-up, against other tools in the same run on the same data:
//   npm run -s bench [-- --scale 45 --rounds 3 --dir /var/tmp/neon-bench --only import,export,s3,s3-objects,small,start,redo,history,ingest]
// Prints the tables of bench/README.md and bench/REDO.md. Needs Debian's postgresql-15, pgbackrest and zstd.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runBaseBackup } from './case-basebackup.ts';
import { runExport } from './case-export.ts';
import { runHistory } from './case-history.ts';
import { runImport } from './case-import.ts';
import { runIngest } from './case-ingest.ts';
import { runRedo } from './case-redo.ts';
import { runS3 } from './case-s3.ts';
import { runS3Objects } from './case-s3-objects.ts';
import { runServer } from './case-server.ts';
import { runSmallFiles } from './case-small-files.ts';
import { runStart } from './case-start.ts';
import { runStarts } from './case-starts.ts';
import { type BenchUser, BIN } from './cluster.ts';

export interface BenchOptions {
  readonly directory: string;
  readonly user: BenchUser | undefined;
  readonly scale: number;
  readonly rounds: number;
  /** Of the mixed table. Default: as many as make it about as large as pgbench's tables. */
  readonly mixedRows: number | undefined;
}

const { values } = parseArgs({
  options: {
    scale: { type: 'string', default: '45' },
    rounds: { type: 'string', default: '3' },
    mixed_rows: { type: 'string' },
    dir: { type: 'string', default: path.join(tmpdir(), 'neon-bench') },
    only: { type: 'string', default: 'import,export,s3,s3-objects,small,start,redo,history,ingest' },
  },
});
for (const tool of [path.join(BIN, 'initdb'), '/usr/bin/pgbackrest']) {
  if (!existsSync(tool)) throw new Error(`${tool} is missing; scripts/servers/install.sh installs it`);
}
const user = process.getuid?.() === 0 ? postgresUser() : undefined;
const options: BenchOptions = {
  directory: values.dir,
  user,
  scale: Number(values.scale),
  rounds: Number(values.rounds),
  mixedRows: values.mixed_rows === undefined ? undefined : Number(values.mixed_rows),
};
mkdirSync(options.directory, { recursive: true });
chmodSync(options.directory, 0o755);
if (user !== undefined) chownSync(options.directory, user.uid, user.gid);

console.log(
  `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.versions.node}, medians of ${options.rounds} rounds\n`,
);
const cases = {
  import: runImport,
  export: runExport,
  basebackup: runBaseBackup,
  s3: runS3,
  's3-objects': runS3Objects,
  small: runSmallFiles,
  start: runStart,
  redo: runRedo,
  history: runHistory,
  ingest: runIngest,
  starts: runStarts,
  server: runServer,
} as const;
for (const name of values.only.split(',')) {
  const run = cases[name as keyof typeof cases];
  if (run === undefined)
    throw new Error(`no case is named ${name}; there are ${Object.keys(cases).join(', ')}`);
  console.log(`${await run(options)}\n`);
}

function postgresUser(): BenchUser {
  const [uid, gid] = ['-u', '-g'].map((flag) =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })),
  );
  return { uid: uid ?? 0, gid: gid ?? 0 };
}
