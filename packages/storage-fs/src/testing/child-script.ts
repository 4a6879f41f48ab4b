import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface ChildScript {
  readonly process: ChildProcessWithoutNullStreams;
  /** The next line of its output; rejects when it ends without one. */
  nextLine(): Promise<string>;
}

const SCRIPTS = {
  'endless-writer': new URL('./endless-writer.ts', import.meta.url),
  'limited-writer': new URL('./limited-writer.ts', import.meta.url),
  'racing-writer': new URL('./racing-writer.ts', import.meta.url),
  'unprivileged-reader': new URL('./unprivileged-reader.ts', import.meta.url),
};

/** Runs a script of this directory in a process of its own, on the package's sources. */
export function startScript(name: keyof typeof SCRIPTS, args: readonly string[]): ChildScript {
  const script = fileURLToPath(SCRIPTS[name]);
  const child = spawn(process.execPath, ['--conditions=@neon-snapshot/source', script, ...args]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let errorText = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errorText += text;
  });
  return {
    process: child,
    async nextLine() {
      const line = await lines.next();
      if (line.done === true) throw new Error(`${name} ended: ${errorText}`);
      return line.value;
    },
  };
}
