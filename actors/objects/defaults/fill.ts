/** How defaults are filled in: only where nothing was given. */
import type { JsonObject } from '../typed.js';
import { isObject } from '../typed.js';

export function fill(object: JsonObject, values: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(values)) {
    if (object[key] === undefined) object[key] = value;
  }
}

/** The object at `key`; a detached empty one when there is none, so that callers need not ask. */
export function child(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isObject(value) ? value : {};
}

/** The object at `key`, made when it is missing. */
export function ensure(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  if (isObject(value)) return value;
  const made: JsonObject = {};
  object[key] = made;
  return made;
}

export function children(object: JsonObject, key: string): JsonObject[] {
  const value = object[key];
  return Array.isArray(value) ? value.filter(isObject) : [];
}
