import { CliError, usageError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';
import { INSPECTORS } from '../inspect/inspectors.ts';
import { openTarget } from '../inspect/open-target.ts';
import { INSPECT_KINDS, recognise } from '../inspect/recognise.ts';
import type { CommandResult } from '../output/writer.ts';
import type { Session } from '../session.ts';

/** Flags that say which timeline's page is meant, and when. */
const PAGE_FLAGS = ['lsn', 'time', 'storage_dest', 'tenant_id', 'timeline'];

/** `neon inspect FILE|URL`: what a binary file or an object of a bucket says, field by field; with `--page`: what a page is made from. */
export async function run(session: Session): Promise<CommandResult> {
  const text = session.args.string('target');
  if (text === undefined) throw usageError('name a file or URL: neon inspect FILE|URL');
  if (session.args.has('page'))
    return (await import('../inspect/page-history.ts')).inspectPageHistory(session);
  const stray = PAGE_FLAGS.find((name) => session.args.has(name));
  if (stray !== undefined)
    throw usageError(`--${stray} is about a page of a timeline; name the page with --page`);
  const { storage, target } = await openTarget(session, text);
  await using _storage = storage;
  const kind = recognise(target);
  if (kind === undefined) {
    throw new CliError(
      'CLI_UNKNOWN_FILE',
      'inspect',
      `${text} is nothing that neon can explain, by its name or its first bytes; it explains: ${INSPECT_KINDS.join(', ')}`,
      { target: text, sizeBytes: target.sizeBytes },
    );
  }
  const inspection = await INSPECTORS[kind](target);
  const { damage } = inspection;
  return {
    command: 'inspect',
    lines: [
      `${text}: ${kind}, ${target.sizeBytes} bytes`,
      ...inspection.lines,
      ...(damage === undefined ? [] : [`damaged: ${damage}`]),
    ],
    data: { target: text, kind, sizeBytes: target.sizeBytes, ...inspection.data, damage: damage ?? null },
    ...(damage === undefined ? {} : { exitCode: EXIT_CODE.invalidData }),
  };
}
