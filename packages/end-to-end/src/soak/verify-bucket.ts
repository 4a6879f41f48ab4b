import { neon } from '../testing/neon-cli.ts';
import type { Place } from './places.ts';

interface Finding {
  readonly severity: string;
  readonly message: string;
}

/** Errors that `neon snapshot verify --level=meta` finds in a whole storage. Layers that nothing lists any more are none. */
export async function verifyBucket(
  place: Place,
  directory: string,
  level: 'meta' | 'pages' = 'meta',
): Promise<string[]> {
  const words = ['snapshot', 'verify', `--storage_dest=${place.url}`, `--level=${level}`, '-D', directory];
  try {
    const { stdout } = await neon([...words, '--json'], place.env);
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
    return findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string };
    return [stdout || stderr || String(error)];
  }
}
