/** What a file costs besides its bytes, as bytes: opening and closing it at the destination. */
const FILE_COST_BYTES = 64 * 1024;

/** Cuts files into at most `countMax` contiguous runs of about the same cost; no run is empty unless there are no files. */
export function splitFiles<File extends { readonly sizeBytes: number }>(
  files: readonly File[],
  countMax: number,
): readonly (readonly File[])[] {
  const costOf = (file: File) => file.sizeBytes + FILE_COST_BYTES;
  const costTotal = files.reduce((sum, file) => sum + costOf(file), 0);
  const runs = Array.from({ length: Math.max(1, countMax) }, (): File[] => []);
  let costBefore = 0;
  for (const file of files) {
    // A file belongs to the run in which its middle lies.
    const middle = costBefore + costOf(file) / 2;
    runs[Math.min(runs.length - 1, Math.floor((middle / costTotal) * runs.length))]?.push(file);
    costBefore += costOf(file);
  }
  const filled = runs.filter((run) => run.length > 0);
  return filled.length === 0 ? [[]] : filled;
}
