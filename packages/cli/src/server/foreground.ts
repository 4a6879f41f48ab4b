import { stopEndpoint } from '@neon-snapshot/pageserver-runner';
import type { CommandResult } from '../output/writer.ts';
import type { Session } from '../session.ts';
import { connectionStringOf } from './describe-endpoint.ts';
import { MAIN } from './ensure-repository.ts';
import { openPageServerProcess } from './page-server-process.ts';
import { type StartPlace, startMain } from './start-main.ts';

/** `neon start --foreground`: everything in this terminal until Ctrl-C, which stops it in order. */
export async function runInForeground(session: Session, place: StartPlace): Promise<CommandResult> {
  const onNote = (message: string) => session.output.note(message);
  await using server = await openPageServerProcess(session, { command: 'neon start', onNote });
  try {
    const { endpoint } = await startMain(session, place);
    session.output.note(`connect: ${connectionStringOf(endpoint)}`);
    session.output.event({ time: new Date().toISOString(), kind: 'listening', ...server.state });
    const fault = await server.ending;
    if (fault !== undefined) throw fault;
  } finally {
    // Not with the session's signal, which has fired.
    await stopEndpoint({ repository: place.paths, name: MAIN }).catch((error: unknown) =>
      session.output.warn(`the endpoint ${MAIN} could not be stopped: ${String(error)}`),
    );
  }
  return { command: 'start', lines: ['stopped'], data: { stopped: true } };
}
