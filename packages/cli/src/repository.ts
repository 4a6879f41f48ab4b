import type { ParsedArguments } from './arguments.ts';
import { CliError } from './cli-error.ts';
import type { Session } from './session.ts';

export interface RepositoryRequest {
  readonly args: ParsedArguments;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly currentDirectory: string;
}

/** Which timeline of which storage a command is about. */
export interface TimelineChoice {
  readonly storageDest: string;
  readonly tenantId?: string | undefined;
  readonly timelineId?: string | undefined;
}

void CliError;
void ((_: Session) => undefined);
