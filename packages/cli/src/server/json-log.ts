/** Lines of `.neon/logs/pageserver.log`: one JSON object each. */
import type { OutputWriter } from '../output/writer.ts';

type LogEvent = Readonly<Record<string, unknown>> & { readonly kind: string };

/** Writes events with their time to stderr. */
export function eventLogger(output: OutputWriter): (event: LogEvent) => void {
  return (event) => output.event({ time: new Date().toISOString(), ...event });
}
