import { createRedactor } from '@neon-snapshot/storage-core';

/** Environment names whose values must never be printed. */
const SECRET_NAME = /^(?!.*_FILE$).*(SECRET|PASSWORD|PASSPHRASE|TOKEN|ACCESS_KEY$|_SAS|SSE_C|ENCRYPTION_KEY)/;

/** A function that masks the values of secret environment variables in a text. */
export function redactorOf(env: Readonly<Record<string, string | undefined>>): (text: string) => string {
  const secrets = Object.entries(env).flatMap(([name, value]) =>
    // As it is, and as a JSON string shows it.
    SECRET_NAME.test(name) && value !== undefined ? [value, JSON.stringify(value).slice(1, -1)] : [],
  );
  return createRedactor(secrets);
}
