import { type Measurement, measure } from './measure.ts';
import type { BenchOptions } from './run.ts';
import { neon } from './tools.ts';

const RUNS = 20;

/** `neon --help`, warm, against an empty Node. */
export async function runStart(options: BenchOptions): Promise<string> {
  const help = { ...neon(options, []), args: neon(options, []).args.slice(0, 1).concat('--help') };
  const empty = { command: process.execPath, args: ['-e', '0'] };
  const times: { help: Measurement[]; empty: Measurement[] } = { help: [], empty: [] };
  await measure(help);
  for (let run = 0; run < RUNS; run++) {
    times.help.push(await measure(help));
    times.empty.push(await measure(empty));
  }
  const median = (measurements: readonly Measurement[]) =>
    measurements.map((measurement) => measurement.wallSeconds * 1000).sort((a, b) => a - b)[RUNS / 2] ?? 0;
  return `### Start-up\n\n- \`neon --help\`: ${median(times.help).toFixed(0)} ms, empty Node: ${median(times.empty).toFixed(0)} ms (medians of ${RUNS})`;
}
