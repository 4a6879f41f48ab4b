import { reportToStarter } from '@neon-snapshot/pageserver-runner';
import { repositoryPaths } from '@neon-snapshot/repository';
import type { CommandResult } from '../output/writer.ts';
import { directoryOf } from '../repository.ts';
import { openPageServerProcess } from '../server/page-server-process.ts';
import { stopAllEndpoints } from '../server/stop-all-endpoints.ts';
import type { Session } from '../session.ts';

/** `neon pageserver`: the process that `neon start` starts. It tells its starter how the start goes, and runs until TERM. */
export async function run(session: Session): Promise<CommandResult> {
  // Its log is a file, and the disk may be full: that is no reason to end.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const onNote = (message: string) => reportToStarter({ kind: 'note', message });
  try {
    if (session.args.string('engine') === 'neon') {
      const { serveNeonEngine } = await import('../server/neon-engine-process.ts');
      await serveNeonEngine(session, { onNote, onReady: () => reportToStarter({ kind: 'ready' }) });
      return { command: 'pageserver', lines: [], data: {} };
    }
    await using server = await openPageServerProcess(session, { command: 'neon start', onNote });
    session.output.event({ time: new Date().toISOString(), kind: 'listening', ...server.state });
    reportToStarter({ kind: 'ready' });
    const fault = await server.ending;
    if (fault !== undefined) {
      await stopAllEndpoints(repositoryPaths(directoryOf(session)), (message) =>
        session.output.warn(message),
      );
      throw fault;
    }
  } catch (error) {
    reportToStarter({ kind: 'failed', ...describe(error) });
    throw error;
  }
  return { command: 'pageserver', lines: [], data: {} };
}

function describe(error: unknown) {
  const fault = error instanceof Error ? error : new Error(String(error));
  const { code, operation, context } = fault as Error & Readonly<Record<string, unknown>>;
  return {
    code: typeof code === 'string' ? code : 'INTERNAL',
    operation: typeof operation === 'string' ? operation : 'start page server',
    message: fault.message,
    context: JSON.parse(
      JSON.stringify(context ?? {}, (_key, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      ),
    ),
  };
}
