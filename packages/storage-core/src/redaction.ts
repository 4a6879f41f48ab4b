const MASK = '***';
/** Shorter values would mask ordinary words of the message. */
const SECRET_LENGTH_MIN = 4;
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/(:\/\/[^\s/:@]*):[^\s/@]+@/g, `$1:${MASK}@`],
  [
    /([?&](?:x-amz-(?:signature|security-token|credential)|sig|token|password|secret)=)[^&\s"']+/gi,
    `$1${MASK}`,
  ],
  [/(authorization:\s*)\S.*/gi, `$1${MASK}`],
];

/**
 * Makes a function that masks the given secrets (plain and percent-encoded), passwords in URLs and signatures in
 * query strings. For every message that may hold text of an SDK, a server or a user.
 */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  const needles = [...new Set(secrets.flatMap((secret) => [secret, encodeURIComponent(secret)]))]
    .filter((needle) => needle.length >= SECRET_LENGTH_MIN)
    .sort((a, b) => b.length - a.length);
  return (text) => {
    let result = text;
    for (const needle of needles) result = result.replaceAll(needle, MASK);
    for (const [pattern, replacement] of PATTERNS) result = result.replace(pattern, replacement);
    return result;
  };
}
