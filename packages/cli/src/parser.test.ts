import { describe, expect, it } from 'vitest';
import { COMMANDS } from './command-table.ts';
import { parseCommandLine } from './parser.ts';

const OPTIONS = { version: '1.2.3', epilogue: 'the end', columns: 100 };

async function parse(...argv: string[]) {
  return parseCommandLine(argv, OPTIONS);
}

async function values(...argv: string[]): Promise<Readonly<Record<string, unknown>>> {
  const invocation = await parse(...argv);
  if (invocation.kind !== 'command') throw new Error(`expected a command, got ${invocation.text}`);
  return invocation.values;
}

async function text(...argv: string[]): Promise<string> {
  const invocation = await parse(...argv);
  if (invocation.kind !== 'text') throw new Error('expected a text, got a command');
  return invocation.text;
}

async function mistake(...argv: string[]): Promise<string> {
  const error = await parse(...argv).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!(error instanceof Error)) throw new Error(`expected a mistake in: ${argv.join(' ')}`);
  expect(error).toMatchObject({ code: 'CLI_USAGE' });
  return error.message;
}

describe('the command line', () => {
  it('finds every command by its words', async () => {
    for (const command of COMMANDS) {
      const positionals = (command.positionals ?? []).map(() => 'value');
      const invocation = await parse(...command.path.split(' '), ...positionals);
      expect(invocation).toMatchObject({ kind: 'command', command: { path: command.path } });
    }
  });

  it('takes flags in snake_case and in kebab-case, before and after the command', async () => {
    expect(await values('init', '--storage_dest=a')).toMatchObject({ storage_dest: 'a' });
    expect(await values('--json', 'init', '--storage-dest', 'a-b')).toMatchObject({
      storage_dest: 'a-b',
      json: true,
    });
    expect(await values('-D', 'there', 'snapshot', 'ls')).toMatchObject({ repo_dir: 'there' });
  });

  it('leaves values alone: numbers, ids and dashes stay as they were written', async () => {
    const parsed = await values('export', '--tenant_id=00000000000000000000000000000017', '--lsn', '0/1E-2');
    expect(parsed).toMatchObject({ tenant_id: '00000000000000000000000000000017', lsn: '0/1E-2' });
    expect(await values('inspect', '000000010000000000000001')).toMatchObject({
      target: '000000010000000000000001',
    });
  });

  it('passes on the words behind -- only where they are for another program', async () => {
    expect(await values('endpoint', 'psql', 'other', '--', '-At', '--no-psqlrc', '--json')).toMatchObject({
      name: 'other',
      further_words: ['-At', '--no-psqlrc', '--json'],
    });
    expect(await values('endpoint', 'psql', '--', '-c', 'SELECT 1')).not.toHaveProperty('json', true);
    expect(await mistake('status', '--', 'word')).toContain('takes no further word, found word');
  });

  it('collects lists', async () => {
    const parsed = await values('export', '--tablespace_mapping=a=b', '--tablespace_mapping', 'c=d');
    expect(parsed.tablespace_mapping).toEqual(['a=b', 'c=d']);
  });

  it('prints help of every command with all its options, and the version', async () => {
    for (const command of COMMANDS) {
      const help = await text(...command.path.split(' '), '--help');
      for (const option of Object.keys(command.options)) expect(help).toContain(`--${option}`);
    }
    expect(await text('--version')).toBe('1.2.3');
    expect(await text('--help')).toContain('the end');
  });

  it('prints a completion script and completes words', async () => {
    expect(await text('completion')).toContain('--get-yargs-completions');
    const complete = async (...line: string[]) =>
      (await text('--get-yargs-completions', 'neon', ...line)).split('\n');
    expect(await complete('')).toEqual(
      expect.arrayContaining(['init', 'export', 'snapshot', 'storage', 'completion']),
    );
    expect(await complete('snapshot', '')).toEqual(['ls', 'show', 'verify', 'copy', 'diff', 'create', 'rm']);
    expect(await complete('export', '--sn')).toContain('--snapshot_path');
    expect(await complete('init', '--progress', '')).toEqual(['auto', 'bar', 'json', 'none']);
    expect(await complete('inspect', '')).toEqual(['']);
  });
});

describe('a mistake on the command line', () => {
  it.each([
    [['inti'], 'unknown command inti: did you mean init?'],
    [['snapshot', 'lss'], 'did you mean ls?'],
    [['snapshot'], 'needs one of: ls, show'],
    [[], 'name a command'],
    [['init', '--storage_des=x'], 'unknown option --storage_des for neon init: did you mean --storage_dest?'],
    [['-D', 'init', 'snapshot', 'ls', '--jsn'], 'did you mean --json?'],
    [['init', '--lsn=0/1'], 'it belongs to neon export'],
    [['init', 'extra'], 'takes no further word, found extra'],
    [['init', '--', 'extra'], 'takes no further word, found extra'],
    [['inspect', 'a', 'b'], 'found b'],
    [['storage', 'ls'], 'needs a storage URL'],
    [['export', '--lsn'], '--lsn needs a value'],
    [['init', '--pg_version=13'], '--pg_version must be one of 14, 15, 16, 17, found 13'],
    [['init', '--dry_run=yes'], '--dry_run is true or false, found yes'],
    [['init', '--no-json'], 'unknown option --no_json'],
  ])('%j says: %s', async (argv, expected) => {
    const message = await mistake(...argv);
    expect(message).toContain(expected);
    if (!message.includes('dry_run')) expect(message).toMatch(/; see neon .*--help$/);
  });
});
