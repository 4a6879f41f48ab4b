/** Lines with their common cut: says how many more there are. */
export function limitLines(lines: readonly string[], limit: number): string[] {
  if (lines.length <= limit) return [...lines];
  return [...lines.slice(0, limit), `… ${lines.length - limit} more (--limit)`];
}
