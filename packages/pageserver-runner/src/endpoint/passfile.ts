/** The passwords of an endpoint's roles: generated, kept in one libpq passfile of mode 0600, and nowhere else in clear text. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '@neon-snapshot/repository';

export interface EndpointPasswords {
  readonly superuser: string;
  readonly replication: string;
}

export interface PassfileRoles {
  readonly superuser: string;
  readonly replication: string;
}

const PASSWORD_BYTES = 24;
/** `SCRAM_SHA_256_DEFAULT_ITERATIONS` and `SCRAM_DEFAULT_SALT_LEN` of common/scram-common.h. */
const SCRAM_ITERATIONS = 4096;
const SCRAM_SALT_BYTES = 16;
const KEY_BYTES = 32;

export function generatePasswords(): EndpointPasswords {
  const generate = () => randomBytes(PASSWORD_BYTES).toString('base64url');
  return { superuser: generate(), replication: generate() };
}

export async function writePassfile(
  path: string,
  roles: PassfileRoles,
  passwords: EndpointPasswords,
): Promise<void> {
  const line = (role: string, password: string) => `*:*:*:${escapeField(role)}:${escapeField(password)}\n`;
  const text = line(roles.superuser, passwords.superuser) + line(roles.replication, passwords.replication);
  await writeFileAtomic({ path, text, mode: 0o600 });
}

/** The password of a role in a passfile of ours; undefined where it has none. */
export async function readPassword(path: string, role: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const prefix = `*:*:*:${escapeField(role)}:`;
  const line = text.split('\n').find((each) => each.startsWith(prefix));
  return line?.slice(prefix.length).replaceAll(/\\([\\:])/g, '$1');
}

/** What `pg_authid.rolpassword` holds for a password: with it, no statement and no log ever has the password itself. */
export function scramVerifier(password: string, salt: Uint8Array = randomBytes(SCRAM_SALT_BYTES)): string {
  const salted = pbkdf2Sync(password, salt, SCRAM_ITERATIONS, KEY_BYTES, 'sha256');
  const hmac = (label: string) => createHmac('sha256', salted).update(label).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  const serverKey = hmac('Server Key').toString('base64');
  const saltText = Buffer.from(salt).toString('base64');
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${saltText}$${storedKey}:${serverKey}`;
}

function escapeField(text: string): string {
  return text.replaceAll(/[\\:]/g, '\\$&');
}
