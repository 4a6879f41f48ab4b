import type { OptionTable, PositionalDefinition } from './arguments.ts';
import type { StreamedResult } from './output/streamed-result.ts';
import type { CommandResult } from './output/writer.ts';
import type { Session } from './session.ts';

/** One command as the parser and the help know it; the code that runs it is loaded when it is called. */
export interface CommandDefinition {
  /** Its words: `init`, `snapshot ls`. */
  readonly path: string;
  readonly summary: string;
  readonly options: OptionTable;
  readonly positionals?: readonly PositionalDefinition[];
  /** The words behind `--` are another program's, `psql` say: they come as the list `further_words`. */
  readonly passesWordsTo?: string;
  readonly examples?: readonly string[];
  /** For `neon` itself: in no help and no completion. */
  readonly hidden?: boolean;
  load(): Promise<{ readonly run: CommandRun }>;
}

type CommandRun = (session: Session) => Promise<CommandResult | StreamedResult>;
