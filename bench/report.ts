import type { Measurement } from './measure.ts';

export interface Row {
  readonly name: string;
  readonly median: Measurement;
  /** Facts that are not time: stored bytes, requests. */
  readonly note?: string;
}

/** A table with every row's ratio to the first: above 1 means that the first row is that much faster. */
export function formatRows(title: string, bytes: number, rows: readonly Row[]): string {
  const [reference] = rows;
  const lines = [
    `### ${title}`,
    '',
    '| what | wall s | MB/s | CPU s | peak RSS MiB | wall against the first | |',
    '| --- | ---: | ---: | ---: | ---: | ---: | --- |',
    ...rows.map(({ name, median, note }) => {
      const ratio = reference === undefined ? 1 : median.wallSeconds / reference.median.wallSeconds;
      const cells = [
        name,
        median.wallSeconds.toFixed(2),
        (bytes / 1e6 / median.wallSeconds).toFixed(0),
        median.cpuSeconds.toFixed(2),
        (median.rssPeakBytes / 1024 / 1024).toFixed(0),
        `${ratio.toFixed(2)}×`,
        note ?? '',
      ];
      return `| ${cells.join(' | ')} |`;
    }),
  ];
  return lines.join('\n');
}
