import type { PageServer } from '@neon-snapshot/pageserver';
import { CliError } from '../cli-error.ts';
import type { Session } from '../session.ts';

/** The page service and the HTTP API of a page server. Dispose to close both. */
export interface ListeningServices extends AsyncDisposable {
  readonly host: string;
  readonly pgPort: number;
  readonly httpPort: number;
}

export function listen(
  _session: Session,
  _pageServer: PageServer,
  _ports: { readonly pgPort: number; readonly httpPort: number },
): Promise<ListeningServices> {
  return Promise.reject(new CliError('CLI_UNSUPPORTED', 'listen', 'the page service is not built yet'));
}
