/** The command line of the driver: one command, long options with snake_case names. */
import { parseArgs } from 'node:util';

export type Options = {
  readonly command: 'attach' | 'fullbackup' | 'check' | 'members';
  readonly pageserverBin: string;
  readonly storage: string;
  readonly tenant: string | undefined;
  readonly timeline: string | undefined;
  readonly lsn: string | undefined;
  /** Tar file: written by `fullbackup`, read by `members`, kept by `check` when given. */
  readonly out: string | undefined;
  readonly expected: string | undefined;
  /** `expected` is what Postgres' own recovery made. */
  readonly isRecovered: boolean;
  /** A program that speaks the `--wal-redo` pipe protocol; without one only image layers can be read. */
  readonly walRedoBin: string | undefined;
  readonly workdir: string | undefined;
  readonly keep: boolean;
};

export class UsageError extends Error {}

export const USAGE = `usage: node scripts/real-neon/main.ts COMMAND OPTIONS

  attach      attach every timeline and print its details
  fullbackup  write a timeline's full backup: --out FILE.tar [--timeline ID] [--lsn X/Y]
  check       compare full backups with a data directory, before and after compaction and a second attach:
              --expected DIR [--timeline ID] [--lsn X/Y]
  members     list the members of a tar: name, type, size, mode, start of SHA-256: --out FILE.tar

  --pageserver_bin PATH  the page server program (all commands but members)
  --storage DIR          a storage root that holds tenants/…; it is copied, never written
  --tenant ID            needed when the storage holds several tenants
  --wal_redo_bin PATH    a program that answers --wal-redo, for timelines with WAL records
  --recovered            --expected is what Postgres' own recovery made: what a page server keeps otherwise doesn't count
  --workdir DIR          where to work (default: a new directory below the system's temporary one)
  --keep                 leave the working directory, its copy of the storage and the log`;

const COMMANDS = ['attach', 'fullbackup', 'check', 'members'] as const;

export function parseOptions(argv: readonly string[]): Options {
  const { values, positionals } = parseArguments(argv);
  const command = COMMANDS.find((name) => name === positionals[0]);
  if (command === undefined || positionals.length !== 1) throw new UsageError('one command is needed');
  const need = (name: 'pageserver_bin' | 'storage' | 'out' | 'expected'): string => {
    const value = values[name];
    if (value === undefined) throw new UsageError(`${command} needs --${name}`);
    return value;
  };
  const serverless = command === 'members';
  return {
    command,
    pageserverBin: serverless ? '' : need('pageserver_bin'),
    storage: serverless ? '' : need('storage'),
    tenant: values.tenant,
    timeline: values.timeline,
    lsn: values.lsn,
    out: command === 'fullbackup' || serverless ? need('out') : values.out,
    isRecovered: values.recovered ?? false,
    expected: command === 'check' ? need('expected') : values.expected,
    walRedoBin: values.wal_redo_bin,
    workdir: values.workdir,
    keep: values.keep ?? false,
  };
}

function parseArguments(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        pageserver_bin: text,
        storage: text,
        tenant: text,
        timeline: text,
        lsn: text,
        out: text,
        expected: text,
        wal_redo_bin: text,
        workdir: text,
        keep: { type: 'boolean' },
        recovered: { type: 'boolean' },
      },
    });
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause));
  }
}
