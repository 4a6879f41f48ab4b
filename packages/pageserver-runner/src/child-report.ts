/** What a page server's process tells the one that started it, over Node's channel: how the start goes, and how it ended. */
import type { RunnerErrorContext } from './runner-error.ts';

export type ChildReport =
  /** It listens; its state file is written. */
  | { readonly kind: 'ready' }
  /** Something to show meanwhile, such as whom it waits for. */
  | { readonly kind: 'note'; readonly message: string }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly operation: string;
      readonly message: string;
      readonly context: RunnerErrorContext;
    };

/** Tells the starter, if one still listens. */
export function reportToStarter(report: ChildReport): void {
  if (!process.connected) return;
  process.send?.(report, undefined, undefined, () => {
    // The starter need not hear the rest, and its channel must not keep this process alive.
    if (report.kind !== 'note' && process.connected) process.disconnect();
  });
}

export function parseReport(message: unknown): ChildReport | undefined {
  if (typeof message !== 'object' || message === null || !('kind' in message)) return undefined;
  if (message.kind === 'ready') return { kind: 'ready' };
  const { kind, code, operation, message: text, context } = message as Record<string, unknown>;
  if (kind === 'note') return { kind, message: String(text) };
  if (kind !== 'failed') return undefined;
  return {
    kind,
    code: String(code),
    operation: String(operation),
    message: String(text),
    context: typeof context === 'object' && context !== null ? (context as RunnerErrorContext) : {},
  };
}
