/** JSON Merge Patch (RFC 7386). */
import { isObject, type JsonObject, setOwn } from '../typed.js';

/** Returns a new value; neither argument is changed, though the result may share parts with both. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else setOwn(result, key, applyMergePatch(result[key], value));
  }
  return result;
}
