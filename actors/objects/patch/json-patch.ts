/**
 * JSON Patch (RFC 6902) by the `rfc6902` library, with Kubernetes' outcomes: a malformed document is 400, a
 * patch that does not fit the object (a failed `test`, a missing path) is 422.
 */
import { applyPatch } from 'rfc6902';
import type { Operation } from 'rfc6902';
import { ObjectError } from '../errors.js';
import { objectLimits } from '../limits.js';

const operations = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

/** The object is not changed; the patched copy is returned. Throws BAD_PATCH and PATCH_FAILED. */
export function applyJsonPatch<T>(object: T, patch: unknown): T {
  const checked = checkPatch(patch);
  const copy = structuredClone(object);
  const failures = applyPatch(copy, checked);
  const index = failures.findIndex((failure) => failure !== null);
  if (index === -1) return copy;
  const failed = checked[index]!;
  throw new ObjectError('PATCH_FAILED', describeFailure(failed), { cause: failures[index]! });
}

function checkPatch(patch: unknown): Operation[] {
  if (!Array.isArray(patch))
    throw new ObjectError('BAD_PATCH', 'a JSON patch must be an array of operations');
  if (patch.length > objectLimits.jsonPatchOperationsMax) {
    throw new ObjectError(
      'TOO_LARGE',
      `The allowed maximum operations in a JSON patch is ${objectLimits.jsonPatchOperationsMax}, ` +
        `got ${patch.length}`,
    );
  }
  return patch.map((entry: unknown, index) => checkOperation(entry, index));
}

function checkOperation(entry: unknown, index: number): Operation {
  const bad = (detail: string) => new ObjectError('BAD_PATCH', `JSON patch operation ${index}: ${detail}`);
  if (typeof entry !== 'object' || entry === null) throw bad('must be an object');
  const operation = entry as Record<string, unknown>;
  if (typeof operation['op'] !== 'string' || !operations.has(operation['op'])) {
    throw bad(`unexpected kind: ${String(operation['op'])}`);
  }
  const isPointer = (value: unknown) => typeof value === 'string' && (value === '' || value.startsWith('/'));
  if (!isPointer(operation['path'])) throw bad('path must be a JSON pointer');
  if ((operation['op'] === 'move' || operation['op'] === 'copy') && !isPointer(operation['from'])) {
    throw bad('from must be a JSON pointer');
  }
  if (['add', 'replace', 'test'].includes(operation['op']) && !('value' in operation))
    throw bad('value is missing');
  for (const pointer of [operation['path'], operation['from']]) {
    if (typeof pointer === 'string' && /(^|\/)(__proto__|constructor|prototype)(\/|$)/.test(pointer)) {
      throw bad(`path ${pointer} is not allowed`);
    }
  }
  return operation as unknown as Operation;
}

function describeFailure(operation: Operation): string {
  if (operation.op === 'test') {
    return (
      'the server rejected our request due to an error in our request: testing value ' +
      `${operation.path} failed`
    );
  }
  const missing = `doc is missing path: ${operation.path}: missing value`;
  return (
    `the server rejected our request due to an error in our request: ${operation.op} operation does ` +
    `not apply: ${missing}`
  );
}
