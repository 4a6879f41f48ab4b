import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { type Storage, withPrefix } from '@neon-snapshot/storage-core';
import { CliError, usageError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';
import type { CommandResult } from '../output/writer.ts';
import { openLocation, type Session } from '../session.ts';
import { type ProbeResult, runStorageProbes, type StoreUses, usesOf } from '../storage-check/run-probes.ts';

const MARK = { works: '✓', missing: '-', failed: '✗' } as const;

/** `neon storage check URL`: tries every verb on a scratch prefix that is removed again. */
export async function run(session: Session): Promise<CommandResult> {
  const url = session.args.string('url');
  if (url === undefined) throw usageError('name a storage URL: neon storage check URL');
  await using storage = await openLocation(session, url, { role: 'storage', access: 'write' });
  await assertThere(storage);
  const prefix = `neon-storage-check-${randomBytes(6).toString('hex')}`;
  const scratch = withPrefix(storage, { prefix });
  const probes = await runStorageProbes(scratch, session.signal);
  const failed = probes.filter((probe) => probe.outcome === 'failed').length;
  const uses = usesOf(probes);
  return {
    command: 'storage check',
    lines: [
      `${storage.url} (scratch prefix ${prefix}, removed)`,
      ...probes.flatMap(linesOf),
      ...(failed === 0 ? [] : [`${failed} checks failed`]),
      verdictOf(uses),
    ],
    data: {
      url: storage.url,
      probes: probes.map(({ name, outcome, detail, cost }) => ({ name, outcome, detail, cost })),
      uses: { ...uses },
      usable: failed === 0 && uses.storageDest !== 'no',
    },
    ...(failed === 0 ? {} : { exitCode: EXIT_CODE.failed }),
  };
}

function linesOf({ name, outcome, detail, cost }: ProbeResult): string[] {
  if (outcome === 'works') return [`${MARK.works} ${name}`];
  return [`${MARK[outcome]} ${name}: ${detail}`, `    ${cost}`];
}

function verdictOf({ snapshots, storageDest }: StoreUses): string {
  if (!snapshots) return 'not usable';
  if (storageDest === 'yes') return 'usable as storage_dest';
  return storageDest === 'unsafe'
    ? 'usable as storage_dest only with --unsafe_no_lease, and for copies of snapshots'
    : 'usable for copies of snapshots, not as storage_dest';
}

/** The check would make a directory that was only written wrongly, and find it good. */
async function assertThere({ fileTree, url }: Storage): Promise<void> {
  const isThere =
    fileTree === undefined ||
    (await stat(fileTree.rootPath).then(
      (found) => found.isDirectory(),
      () => false,
    ));
  if (isThere) return;
  throw new CliError(
    'CLI_NO_DIRECTORY',
    'storage check',
    `there is no directory ${url}; check the path, or make it: neon init makes a storage_dest that is not there`,
    { url },
  );
}
