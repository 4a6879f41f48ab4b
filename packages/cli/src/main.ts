import { runCli } from './run.ts';

const controller = new AbortController();
let interrupts = 0;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupts += 1;
    // The first one stops cleanly; whoever insists is obeyed.
    if (interrupts > 1) process.exit(130);
    controller.abort(new DOMException(`interrupted by ${signal}`, 'AbortError'));
  });
}
// A reader that went away (`neon … | head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});

process.exitCode = await runCli({
  argv: process.argv.slice(2),
  env: process.env,
  currentDirectory: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  signal: controller.signal,
});
