import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS as ALL_COMMANDS } from './command-table.ts';
import { EXIT_CODE } from './exit-code.ts';
import { GLOBAL_OPTIONS } from './options.ts';
import { JSON_RESULT_VERSION } from './output/writer.ts';

const COMMANDS = ALL_COMMANDS.filter((command) => command.hidden !== true);
const readme = readFileSync(path.join(import.meta.dirname, '../README.md'), 'utf8');

function section(heading: string): string {
  return readme.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
}

describe('the README', () => {
  it('has every command', () => {
    for (const command of COMMANDS) {
      const [first, second] = command.path.split(' ');
      expect(section('Commands')).toMatch(
        new RegExp(`neon ${first}${second === undefined ? '' : ` ${second}`}`),
      );
    }
  });

  it('has every option of the command table, and no other', () => {
    const known = new Set(
      [GLOBAL_OPTIONS, ...COMMANDS.map((command) => command.options)].flatMap((table) => Object.keys(table)),
    );
    const rows = [...section('Options').matchAll(/^\| `--([a-z_]+)`/gm)].map((match) => match[1]);
    expect(new Set(rows)).toEqual(new Set([...known, 'help']));
  });

  it('has the choices and aliases of options', () => {
    for (const table of [GLOBAL_OPTIONS, ...COMMANDS.map((command) => command.options)]) {
      for (const [name, option] of Object.entries(table)) {
        const row = section('Options')
          .split('\n')
          .find((line) => line.startsWith(`| \`--${name}\``));
        for (const choice of option.choices ?? []) expect(row).toContain(`\`${choice}\``);
        if (option.alias !== undefined) expect(row).toContain(`-${option.alias}\``);
      }
    }
  });

  it('has every exit code and the JSON version', () => {
    for (const code of Object.values(EXIT_CODE))
      expect(section('Exit codes')).toMatch(new RegExp(`^\\| ${code} +\\|`, 'm'));
    expect(section('Output')).toContain(`"version": ${JSON_RESULT_VERSION}`);
  });

  it('has the JSON shape of every command', () => {
    for (const command of COMMANDS) expect(section('Output')).toContain(`\`${command.path}\``);
  });
});
