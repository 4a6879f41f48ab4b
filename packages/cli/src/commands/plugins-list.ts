import { formatTable } from '../output/table.ts';
import type { CommandResult } from '../output/writer.ts';
import type { Session } from '../session.ts';

/** `neon plugins list`: every storage and format that is registered, without loading any. */
export async function run(session: Session): Promise<CommandResult> {
  const plugins = session.registry
    .list()
    .map(({ kind, names, packageName }) => ({ kind, names: [...names], packageName }));
  return {
    command: 'plugins list',
    lines: formatTable(
      ['KIND', 'NAMES', 'PACKAGE'],
      plugins.map((plugin) => [plugin.kind, plugin.names.join(', '), plugin.packageName]),
    ),
    data: { plugins },
  };
}
