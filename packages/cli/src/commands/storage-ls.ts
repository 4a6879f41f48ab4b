import { usageError } from '../cli-error.ts';
import { formatBytes } from '../output/units.ts';
import type { CommandResult } from '../output/writer.ts';
import { openLocation, type Session } from '../session.ts';

interface Listed {
  readonly key: string;
  readonly sizeBytes: number;
}

/** `neon storage ls URL`: one level, or with `--recursive` every object. */
export async function run(session: Session): Promise<CommandResult> {
  const url = session.args.string('url');
  if (url === undefined) throw usageError('name a storage URL: neon storage ls URL');
  await using storage = await openLocation(session, url, { role: 'storage', access: 'read' });
  const objects: Listed[] = [];
  const prefixes: string[] = [];
  const delimiter = session.args.boolean('recursive') ? {} : ({ delimiter: '/' } as const);
  for await (const page of storage.list({ ...delimiter, signal: session.signal })) {
    prefixes.push(...page.prefixes);
    for (const { key, sizeBytes } of page.objects) objects.push({ key, sizeBytes });
  }
  const bytesTotal = objects.reduce((sum, object) => sum + object.sizeBytes, 0);
  return {
    command: 'storage ls',
    lines: [
      ...prefixes.map((prefix) => `${'-'.padStart(10)}  ${prefix}`),
      ...objects.map((object) => `${formatBytes(object.sizeBytes).padStart(10)}  ${object.key}`),
      `${objects.length} objects, ${prefixes.length} prefixes, ${formatBytes(bytesTotal)}`,
    ],
    data: { url: storage.url, objects: objects.map((object) => ({ ...object })), prefixes, bytesTotal },
  };
}
