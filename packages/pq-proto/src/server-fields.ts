import { BodyReader } from './body-reader.ts';
import { BodyWriter } from './body-writer.ts';
import type { PqServerFields } from './pq-error.ts';

/** Field letters of ErrorResponse and NoticeResponse, postgres_ext.h (`PG_DIAG_*`). */
const FIELD_NAMES = {
  D: 'detail',
  H: 'hint',
  W: 'where',
  P: 'position',
  R: 'routine',
} as const;

/** Body: any number of (letter u8, text, NUL), then a zero. Fields without a name here are left out. */
export function decodeServerFields(body: Buffer): PqServerFields {
  const reader = new BodyReader(body, 'error or notice');
  const texts = new Map<string, string>();
  for (let letter = reader.uint8(); letter !== 0; letter = reader.uint8())
    texts.set(String.fromCharCode(letter), reader.cstring());
  const optional = Object.fromEntries(
    Object.entries(FIELD_NAMES).flatMap(([letter, name]) => {
      const text = texts.get(letter);
      return text === undefined ? [] : [[name, text]];
    }),
  );
  return {
    // V is S without localisation, since 9.6; Neon's services send only S, C and M.
    severity: texts.get('V') ?? texts.get('S') ?? 'ERROR',
    code: texts.get('C') ?? 'XX000',
    message: texts.get('M') ?? '',
    ...optional,
  };
}

export function encodeServerFields(fields: PqServerFields): Buffer {
  const writer = new BodyWriter();
  const field = (letter: string, text: string) =>
    writer.uint8(letter.charCodeAt(0)).cstring(text.replaceAll('\0', '\\0'));
  field('S', fields.severity);
  field('V', fields.severity);
  field('C', fields.code);
  field('M', fields.message);
  for (const [letter, name] of Object.entries(FIELD_NAMES)) {
    const text = fields[name];
    if (text !== undefined) field(letter, text);
  }
  return writer.uint8(0).finish();
}
