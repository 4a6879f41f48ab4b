import type { ProgressEvent, ProgressListener } from '@neon-snapshot/format-core';
import { formatBytes, formatDuration } from './units.ts';

export type ProgressMode = 'none' | 'bar' | 'json';

export interface ProgressOptions {
  readonly mode: ProgressMode;
  readonly stream: NodeJS.WritableStream & { readonly columns?: number };
  readonly now: () => number;
}

const BAR_INTERVAL_MS = 100;
const JSON_INTERVAL_MS = 500;
const BAR_WIDTH = 24;

/** Shows a running copy: a bar with rate and ETA, or one JSON object a line. Dispose to finish the line. */
export class ProgressDisplay implements Disposable {
  readonly #options: ProgressOptions;
  readonly #startedAt: number;
  #lastAt = Number.NEGATIVE_INFINITY;
  #lastPhase: ProgressEvent['phase'] | undefined;
  #barShown = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#startedAt = options.now();
  }

  readonly listen: ProgressListener = (event) => {
    if (this.#options.mode === 'none') return;
    const now = this.#options.now();
    const interval = this.#options.mode === 'bar' ? BAR_INTERVAL_MS : JSON_INTERVAL_MS;
    if (event.phase === this.#lastPhase && now - this.#lastAt < interval) return;
    this.#lastAt = now;
    this.#lastPhase = event.phase;
    const seconds = (now - this.#startedAt) / 1000;
    if (this.#options.mode === 'json') this.#options.stream.write(`${jsonLine(event, seconds)}\n`);
    else this.#showBar(event, seconds);
  };

  /** Takes the bar off the line, so that something else can be written. */
  readonly clear = (): void => {
    if (!this.#barShown) return;
    this.#options.stream.write('\r\u001b[K');
    this.#barShown = false;
  };

  [Symbol.dispose](): void {
    this.clear();
  }

  #showBar(event: ProgressEvent, seconds: number): void {
    const text = barLine(event, seconds).slice(0, (this.#options.stream.columns ?? 80) - 1);
    this.#options.stream.write(`\r${text}\u001b[K`);
    this.#barShown = true;
  }
}

function jsonLine(event: ProgressEvent, seconds: number): string {
  return JSON.stringify({ event: 'progress', ...event, seconds: Number(seconds.toFixed(3)) });
}

function barLine(event: ProgressEvent, seconds: number): string {
  const rate = seconds > 0 ? event.bytesDone / seconds : 0;
  const parts = [event.phase.padEnd(7)];
  if (event.bytesTotal !== undefined && event.bytesTotal > 0) {
    const share = Math.min(1, event.bytesDone / event.bytesTotal);
    const filled = Math.round(share * BAR_WIDTH);
    parts.push(
      `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`,
    );
  }
  parts.push(formatBytes(event.bytesDone), `${formatBytes(rate)}/s`);
  if (event.bytesTotal !== undefined && rate > 0)
    parts.push(`ETA ${formatDuration((event.bytesTotal - event.bytesDone) / rate)}`);
  return parts.join('  ');
}
