/** Runs a real Neon page server on a copy of a storage and asks it what the storage holds. See README.md. */
import { check } from './check.ts';
import { writeFullBackup } from './full-backup.ts';
import { type Options, parseOptions, USAGE, UsageError } from './options.ts';
import { Session } from './session.ts';
import { TarFile } from './tar-file.ts';
import { countLayers, listTimelines } from './tenant.ts';

/** Exit status: 0 all well, 1 failed, 2 usage, 3 the server's answer differs from what was expected. */
async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options.command === 'members') return printMembers(options.out ?? '');
  const { command } = options;
  return Session.with(options, (session) => {
    if (command === 'attach') return attach(session);
    return command === 'check' ? runCheck(session, options) : fullBackup(session, options);
  });
}

/** Prints one JSON object a timeline, as the server describes it. */
async function attach(session: Session): Promise<number> {
  const tenant = session.tenant.id;
  const generation = await session.attach();
  const timelines = await listTimelines(session.server, tenant);
  for (const timeline of timelines) {
    const layers = await countLayers(session.server, { tenant, timeline: timeline.timeline_id });
    console.log(JSON.stringify({ generation, layers, ...timeline }));
  }
  const served = new Set(timelines.map((timeline) => timeline.timeline_id));
  const absent = session.tenant.timelines.filter((id) => !served.has(id));
  for (const id of absent) console.error(`not attached (archived timelines are not): ${id}`);
  return 0;
}

async function fullBackup(session: Session, options: Options): Promise<number> {
  const timeline = session.chooseTimeline(options.timeline);
  await session.attach();
  const out = options.out ?? '';
  const bytes = await writeFullBackup(session.server, {
    tenant: session.tenant.id,
    timeline,
    lsn: options.lsn,
    out,
  });
  console.log(`${out}: ${bytes} bytes`);
  return 0;
}

async function runCheck(session: Session, options: Options): Promise<number> {
  const timeline = session.chooseTimeline(options.timeline);
  const { lsn, expected = '', isRecovered, out } = options;
  return (await check(session, { timeline, lsn, expected, isRecovered, out })) ? 0 : 3;
}

function printMembers(path: string): number {
  const tar = TarFile.open(path);
  try {
    for (const member of tar.members) {
      const digest = member.type === '5' ? '' : tar.sha256(member).slice(0, 32);
      console.log([member.name, member.type, member.sizeBytes, member.mode, digest].join('\t'));
    }
  } finally {
    tar.close();
  }
  return 0;
}

// An exit, not an end, so that the page server is stopped too.
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => process.exit(130));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  console.error(usage ? `${error.message}\n\n${USAGE}` : describe(error));
  process.exitCode = usage ? 2 : 1;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\n  because: ${describe(error.cause)}`;
}
