/** Whether a status says what the API already has, which drops zeros, empty lists and empty objects. Pure. */
import { isDeepStrictEqual } from 'node:util';

export function sameStatus(stored: object | undefined, status: object): boolean {
  return isDeepStrictEqual(withoutEmpty(stored ?? {}), withoutEmpty(status));
}

function withoutEmpty(status: object): object {
  return Object.fromEntries(Object.entries(status).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === 0;
}
