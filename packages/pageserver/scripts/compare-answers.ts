/**
 * Asks a real Neon page server and ours the same over pagestream_v2 and v3, on the same storage, and compares the bytes of the answers.
 *
 *   node --conditions=@neon-snapshot/source packages/pageserver/scripts/compare-answers.ts pg17 PAGESERVER [WALREDO]
 *
 * The first argument is a sample of ../shared/data/neon with WAL; PAGESERVER and WALREDO as in scripts/real-neon/README.md.
 */
import { fileURLToPath } from 'node:url';
import { keyFromHex, parseKey, SLRU_KINDS } from '@neon-snapshot/neon-layer';
import { type Lsn, lsn, type RelTag } from '@neon-snapshot/postgres';
import { connectPq } from '@neon-snapshot/pq-proto';
import { Session } from '../../../scripts/real-neon/session.ts';
import { startPageService } from '../src/page-service/start-page-service.ts';
import { makeStateDirectory, openTestServer } from '../src/testing/memory-server.ts';
import { encodeRequest, exchange, type PageRequest, relBody } from '../src/testing/page-client.ts';
import { listedValues, phaseLsn, sampleFacts, sampleStorage } from '../src/testing/sample-timelines.ts';

interface Question {
  readonly name: string;
  readonly request: PageRequest;
}

const LATEST = lsn(0xffff_ffff_ffff_ffffn);
const CATALOG: RelTag = { spcNode: 1663, dbNode: 5, relNode: 1249, forkNum: 0 };
const EVERY_PAGE = 7;
const ERROR_TAG = 103;

const [sample = '', pageserverBin = '', walRedoBin] = process.argv.slice(2);
const { tenant, timelines } = sampleFacts(sample);
const timeline = timelines.main ?? '';
const end = phaseLsn(sample, 'p3');
const base = phaseLsn(sample, 'base');

const at = (requestLsn: Lsn, notModifiedSince: Lsn = requestLsn) => ({ requestLsn, notModifiedSince });

/** Sizes, every seventh page and all SLRU segments at three LSNs. */
function knownThings(): Question[] {
  let pageCount = 0;
  return ['base', 'p1', 'p3'].flatMap((phase) =>
    listedValues({ sample, timeline: 'main', phase }).flatMap(([hex]): Question[] => {
      const key = parseKey(keyFromHex(hex));
      const place = at(phaseLsn(sample, phase), base);
      switch (key.kind) {
        case 'relation-size':
          return [
            { name: 'nblocks', request: { tag: 1, body: relBody(key.tag), ...place } },
            { name: 'exists', request: { tag: 0, body: relBody(key.tag), ...place } },
          ];
        case 'relation-block':
          if (pageCount++ % EVERY_PAGE !== 0) return [];
          return [{ name: 'page', request: { tag: 2, body: relBody(key.tag, key.blockNumber), ...place } }];
        case 'slru-size':
          return [{ name: 'slru', request: { tag: 4, body: slruBody(key.slru, key.segno), ...place } }];
        default:
          return [];
      }
    }),
  );
}

function slruBody(kind: (typeof SLRU_KINDS)[number], segno: number): Buffer {
  const body = Buffer.alloc(5);
  body.writeUInt8(SLRU_KINDS.indexOf(kind));
  body.writeUInt32BE(segno, 1);
  return body;
}

function oddThings(): Question[] {
  const page = (name: string, place: ReturnType<typeof at>, tag = CATALOG, block = 0): Question => ({
    name,
    request: { tag: 2, body: relBody(tag, block), ...place },
  });
  const rel = (name: string, tag: Partial<RelTag>, kind: 0 | 1): Question => ({
    name,
    request: { tag: kind, body: relBody({ ...CATALOG, ...tag }), ...at(end) },
  });
  const databases = [0, 1, 4, 5, 99_999].map((dbNode): Question => {
    const body = Buffer.alloc(4);
    body.writeUInt32BE(dbNode);
    return { name: `size of database ${dbNode}`, request: { tag: 3, body, ...at(end) } };
  });
  return [
    ...databases,
    page('LSN 0', at(lsn(0n))),
    page('latest, any age', at(LATEST, lsn(0n))),
    page('not-modified-since above the LSN', at(base, end)),
    page('below the GC cutoff', at(lsn(8n))),
    page('above the end', at(lsn(end + 80_000n), end)),
    page('behind the end of the relation', at(end), CATALOG, 999_999),
    page('of no relation', at(end), { ...CATALOG, relNode: 999_999 }),
    page('of a missing fork', at(end), { ...CATALOG, relNode: 999_999, forkNum: 1 }),
    page('of relation 0', at(end), { ...CATALOG, relNode: 0 }),
    rel('size of no relation', { relNode: 999_999 }, 1),
    rel('size of a missing fork', { relNode: 999_999, forkNum: 2 }, 1),
    rel('size of a missing init fork', { relNode: 999_999, forkNum: 3 }, 1),
    rel('existence of relation 0', { relNode: 0 }, 0),
    rel('existence in no database', { dbNode: 77 }, 0),
    rel('size of a shared relation', { spcNode: 1664, dbNode: 0, relNode: 1262 }, 1),
    { name: 'missing SLRU segment', request: { tag: 4, body: slruBody('clog', 99), ...at(end) } },
  ];
}

async function ask(port: number, version: 2 | 3, questions: readonly Question[]): Promise<Buffer[]> {
  const connection = await connectPq({ host: '127.0.0.1', port, user: 'me', tls: 'disable', env: {} });
  try {
    const stream = await connection.copyBoth(`pagestream_v${version} ${tenant} ${timeline}`);
    const requests = questions.map(({ request }, index) =>
      encodeRequest(version === 3 ? { ...request, id: BigInt(index) } : request),
    );
    return await exchange(stream, requests);
  } finally {
    // A real page server ends the connection where ours goes on.
    await connection.close();
  }
}

function describe(answer: Buffer | undefined, version: 2 | 3): string {
  if (answer?.[0] !== ERROR_TAG) return `tag ${answer?.[0]}, ${answer?.length} bytes`;
  return answer.toString('utf8', version === 3 ? 25 : 1, answer.length - 1);
}

await using state = await makeStateDirectory();
await using pageServer = await openTestServer({
  storage: await sampleStorage(sample),
  tenantId: tenant,
  stateDirectory: state.path,
});
await using service = await startPageService({ pageServer, host: '127.0.0.1', port: 0 });
const storage = fileURLToPath(new URL(`../../../../shared/data/neon/${sample}/storage`, import.meta.url));
const options = {
  command: 'attach',
  lsn: undefined,
  out: undefined,
  expected: undefined,
  isRecovered: false,
} as const;
const place = { pageserverBin, storage, tenant, timeline, walRedoBin, workdir: undefined, keep: false };
await Session.with({ ...options, ...place }, async (session) => {
  await session.attach();
  const questions = [...knownThings(), ...oddThings()];
  for (const version of [2, 3] as const) {
    const ours = await ask(service.port, version, questions);
    const theirs = await ask(session.server.pgPort, version, questions);
    const different = questions.flatMap(({ name }, i) =>
      ours[i]?.equals(theirs[i] ?? Buffer.alloc(0)) ? [] : [{ name, i }],
    );
    console.log(`pagestream_v${version}: ${questions.length} answers, ${different.length} different`);
    for (const { name, i } of different)
      console.log(
        `  ${name}\n    ours:   ${describe(ours[i], version)}\n    theirs: ${describe(theirs[i], version)}`,
      );
  }
});
