import { isPostgresFormatError, type Lsn, parseLsn } from '@neon-snapshot/postgres';
import { badRequest } from './http-errors.ts';

type Fields = Readonly<Record<string, unknown>>;

const ID = /^[0-9a-f]{32}$/;

export function textField(fields: Fields, name: string): string {
  const value = optionalText(fields, name);
  if (value === undefined) throw badRequest(`the body has no "${name}"`);
  return value;
}

export function optionalText(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string' || value === '') throw badRequest(`"${name}" is not a text`);
  return value;
}

export function integerField(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  throw badRequest(`"${name}" is not an integer`);
}

export function optionalInteger(fields: Fields, name: string): number | undefined {
  const value = fields[name];
  return value === undefined || value === null ? undefined : integerField(fields, name);
}

/** Of a query: `true` or `false`, which is the default. */
export function booleanQuery(query: URLSearchParams, name: string): boolean {
  const text = query.get(name) ?? 'false';
  if (text !== 'true' && text !== 'false')
    throw badRequest(`${name} is "${text.slice(0, 40)}"; expected true or false`);
  return text === 'true';
}

export function assertOnlyFields(fields: Fields, names: readonly string[]): void {
  const unknown = Object.keys(fields).find((name) => !names.includes(name));
  if (unknown !== undefined) throw badRequest(`the body has an unknown "${unknown.slice(0, 40)}"`);
}

export function lsnField(text: string, name: string): Lsn {
  try {
    return parseLsn(text);
  } catch (error) {
    if (isPostgresFormatError(error))
      throw badRequest(`${name} is "${text.slice(0, 40)}"; expected an LSN such as 0/16B3748`);
    throw error;
  }
}

/** A tenant's or timeline's id; of a tenant also with the suffix of shard 0 of 1, as Neon's tools write it. */
export function idField(text: string, name: string): string {
  const id = text.toLowerCase();
  if (!ID.test(id)) throw badRequest(`${name} is "${text.slice(0, 40)}"; expected 32 hex digits`);
  return id;
}
