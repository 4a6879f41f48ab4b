/** Times of commits as Postgres logs them: microseconds since 2000-01-01 UTC. */

const POSTGRES_EPOCH_MS = 946_684_800_000n;
const TIME =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?\s?(Z|[+-]\d{2}(?::?\d{2})?)$/;

/** Parses a time in ISO form with its zone, `2026-11-22T09:00:55.443174Z` or `2026-11-22 10:00:55+01`; undefined for any other text. */
export function parseCommitTime(text: string): bigint | undefined {
  const [, date, minutes, seconds = '00', fraction = '', zone = ''] = TIME.exec(text) ?? [];
  if (date === undefined || minutes === undefined) return undefined;
  const offset = zone === 'Z' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}`;
  const ms = Date.parse(`${date}T${minutes}:${seconds}${offset}`);
  if (Number.isNaN(ms)) return undefined;
  return (BigInt(ms) - POSTGRES_EPOCH_MS) * 1000n + BigInt(fraction.padEnd(6, '0'));
}

/** ISO, UTC, with microseconds. */
export function formatCommitTime(time: bigint): string {
  const micros = time + POSTGRES_EPOCH_MS * 1000n;
  const inSecond = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const second = new Date(Number((micros - inSecond) / 1000n)).toISOString().slice(0, 19);
  return `${second}.${inSecond.toString().padStart(6, '0')}Z`;
}
