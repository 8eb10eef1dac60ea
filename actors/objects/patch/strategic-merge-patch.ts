/**
 * Strategic merge patch: a merge patch that knows from the schema how lists merge. Directives: `$patch`
 * (replace, delete), `$retainKeys`, `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>` (kubernetes
 * community, contributors/devel/sig-api-machinery/strategic-merge-patch.md). Checked against kubectl's own
 * implementation.
 */
import { isDeepStrictEqual } from 'node:util';
import { ObjectError } from '../errors.js';
import { objectLimits } from '../limits.js';
import type { Definition, Field } from '../schema-table.js';
import type { JsonObject } from '../typed.js';
import { isObject, setOwn } from '../typed.js';
import { mergeSortedLists, sortByOrder } from './element-order.js';

const patchDirective = '$patch';
const retainKeysDirective = '$retainKeys';
const orderPrefix = '$setElementOrder/';
const deletePrefix = '$deleteFromPrimitiveList/';

/** Neither argument is changed. Throws BAD_PATCH. */
export function applyStrategicMergePatch(
  object: JsonObject,
  patch: unknown,
  definition: Definition,
): JsonObject {
  if (!isObject(patch)) throw bad('a strategic merge patch must be an object');
  return mergeMaps(structuredClone(object), structuredClone(patch), definition, 0);
}

/** Both arguments are consumed. */
function mergeMaps(
  original: JsonObject,
  patch: JsonObject,
  definition: Definition | undefined,
  depth: number,
): JsonObject {
  if (depth > objectLimits.depthMax) throw bad(`nested more than ${objectLimits.depthMax} deep`);
  const directive = patch[patchDirective];
  if (directive !== undefined) {
    delete patch[patchDirective];
    if (directive === 'replace') return patch;
    if (directive === 'delete') return {};
    throw bad(`unknown patch type "${String(directive)}" in map`);
  }
  retainKeys(original, patch);
  applyElementOrders(original, patch, definition, depth);
  for (const [key, value] of Object.entries(patch)) mergeKey(original, key, value, definition, depth);
  return original;
}

function mergeKey(
  original: JsonObject,
  patchKey: string,
  value: unknown,
  definition: Definition | undefined,
  depth: number,
): void {
  const isDeletion = patchKey.startsWith(deletePrefix);
  const key = isDeletion ? patchKey.slice(deletePrefix.length) : patchKey;
  if (value === null) {
    if (!isDeletion) delete original[key];
    return;
  }
  const present = Object.hasOwn(original, key) ? original[key] : undefined;
  if (isDeletion) {
    if (!Array.isArray(value)) throw bad(`${patchKey} must be a list`);
    if (Array.isArray(present)) {
      original[key] = present.filter((entry) => !value.some((gone) => isDeepStrictEqual(entry, gone)));
    }
    return;
  }
  const field = definition?.fields.get(key);
  if (isObject(present) && isObject(value)) {
    const merged =
      field && strategyOf(field) === 'replace'
        ? value
        : mergeMaps(present, value, definitionOf(field), depth + 1);
    setOwn(original, key, merged);
  } else if (Array.isArray(present) && Array.isArray(value)) {
    setOwn(original, key, mergeFieldLists(present, value, field, depth));
  } else setOwn(original, key, withoutDirectives(value));
}

function mergeFieldLists(
  original: unknown[],
  patch: unknown[],
  field: Field | undefined,
  depth: number,
): unknown[] {
  if (!field || strategyOf(field) !== 'merge') return patch;
  return mergeLists(original, patch, field, depth);
}

/** Lists whose strategy is merge: of objects by the merge key, of scalars as sets. */
function mergeLists(original: unknown[], patch: unknown[], field: Field, depth: number): unknown[] {
  if (original.length === 0 && patch.length === 0) return original;
  const ofMaps = isObject(patch[0] ?? original[0]);
  for (const entry of [...original, ...patch]) {
    if (isObject(entry) !== ofMaps) throw bad(`list ${field.name} mixes objects and other values`);
  }
  if (!ofMaps) {
    const merged = [...new Set([...original, ...patch])];
    return reorder(merged, patch, original, undefined);
  }
  const mergeKey = field.patchMergeKey;
  if (mergeKey === undefined) throw bad(`cannot merge lists without merge key for ${field.name}`);
  const special = applySpecialElements(original as JsonObject[], patch as JsonObject[], mergeKey);
  const merged = mergeElements([...special.original], special.patch, mergeKey, definitionOf(field), depth);
  return reorder(merged, special.patch, special.original, mergeKey);
}

/** Carries out the elements that say `$patch`, and gives what is left on either side. */
function applySpecialElements(
  original: JsonObject[],
  patch: JsonObject[],
  mergeKey: string,
): { original: JsonObject[]; patch: JsonObject[] } {
  let kept = original;
  let replaced = false;
  const rest: JsonObject[] = [];
  for (const element of patch) {
    const directive = element[patchDirective];
    if (directive === undefined) rest.push(element);
    else if (directive === 'delete') {
      const value = keyValueOf(element, mergeKey);
      kept = kept.filter((entry) => !sameKey(entry[mergeKey], value));
    } else if (directive === 'replace') replaced = true;
    else throw bad(`unknown patch type "${String(directive)}" in list`);
  }
  return replaced ? { original: rest, patch: [] } : { original: kept, patch: rest };
}

function mergeElements(
  merged: JsonObject[],
  patch: readonly JsonObject[],
  mergeKey: string,
  definition: Definition | undefined,
  depth: number,
): JsonObject[] {
  for (const element of patch) {
    const value = keyValueOf(element, mergeKey);
    const index = merged.findIndex((entry) => sameKey(entry[mergeKey], value));
    if (index === -1) merged.push(withoutDirectives(element) as JsonObject);
    else merged[index] = mergeMaps({ ...merged[index]! }, { ...element }, definition, depth + 1);
  }
  return merged;
}

function retainKeys(original: JsonObject, patch: JsonObject): void {
  const keep = patch[retainKeysDirective];
  if (keep === undefined) return;
  delete patch[retainKeysDirective];
  if (!Array.isArray(keep)) throw bad(`${retainKeysDirective} must be a list of keys`);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || key.startsWith(deletePrefix) || key.startsWith(orderPrefix)) continue;
    if (!keep.includes(key))
      throw bad(`the patch sets ${key}, which its ${retainKeysDirective} does not list`);
  }
  for (const key of Object.keys(original)) if (!keep.includes(key)) delete original[key];
}

/** Merges the lists that have an order given for them, and takes both out of the patch. */
function applyElementOrders(
  original: JsonObject,
  patch: JsonObject,
  definition: Definition | undefined,
  depth: number,
): void {
  for (const directive of Object.keys(patch).filter((key) => key.startsWith(orderPrefix))) {
    const key = directive.slice(orderPrefix.length);
    const order = patch[directive];
    const field = definition?.fields.get(key);
    delete patch[directive];
    if (!Array.isArray(order)) throw bad(`${directive} must be a list`);
    const present = original[key];
    const given = patch[key];
    if (present !== undefined && present !== null && !Array.isArray(present))
      throw bad(`${key} is not a list`);
    if (given !== undefined && !Array.isArray(given)) {
      if (given === null) continue;
      throw bad(`${key} is not a list`);
    }
    const mergeKey = field?.patchMergeKey;
    if (given) checkOrder(given, order, key, mergeKey);
    const before = Array.isArray(present) ? present : undefined;
    let merged: unknown[];
    if (before && given) merged = mergeFieldLists([...before], given, field, depth);
    else if (given) merged = withoutDirectives(given) as unknown[];
    else if (before) merged = before;
    else continue;
    original[key] = reorder(merged, order, before ?? [], mergeKey);
    delete patch[key];
  }
}

/** What the patch adds must stand in the order that it gives. */
function checkOrder(patch: unknown[], order: unknown[], key: string, mergeKey: string | undefined): void {
  let position = 0;
  for (const element of patch) {
    if (isObject(element) && element[patchDirective] !== undefined) continue;
    while (position < order.length && !sameElement(element, order[position], mergeKey)) position++;
    if (position === order.length) {
      throw bad(`the order in patch list ${key} doesn't match its ${orderPrefix}${key} list`);
    }
    position++;
  }
}

/**
 * Elements in `order` follow it, the others keep the server's order; the two are woven by the server's order.
 */
function reorder(
  merged: readonly unknown[],
  order: readonly unknown[],
  serverOrder: readonly unknown[],
  mergeKey: string | undefined,
): unknown[] {
  const same = (a: unknown, b: unknown) => sameElement(a, b, mergeKey);
  const ordered = merged.filter((entry) => order.some((each) => same(entry, each)));
  const serverOnly = merged.filter((entry) => !order.some((each) => same(entry, each)));
  return mergeSortedLists(
    sortByOrder(serverOnly, serverOrder, same),
    sortByOrder(ordered, order, same),
    serverOrder,
    same,
  );
}

function sameElement(a: unknown, b: unknown, mergeKey: string | undefined): boolean {
  if (mergeKey === undefined || !isObject(a) || !isObject(b)) return isDeepStrictEqual(a, b);
  return sameKey(a[mergeKey], b[mergeKey]);
}

function sameKey(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b);
}

function keyValueOf(element: JsonObject, mergeKey: string): unknown {
  const value = element[mergeKey];
  if (value === undefined) {
    throw bad(`map: ${JSON.stringify(element)} does not contain declared merge key: ${mergeKey}`);
  }
  return value;
}

/** A value that is new to the object: nulls and directives have nothing to act on. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value
      .filter((entry) => !isObject(entry) || entry[patchDirective] === undefined)
      .map(withoutDirectives);
  }
  if (!isObject(value)) return value;
  const plain: JsonObject = {};
  for (const [key, entry] of Object.entries(value)) {
    if (entry === null || isDirective(key)) continue;
    setOwn(plain, key, withoutDirectives(entry));
  }
  return plain;
}

function isDirective(key: string): boolean {
  return (
    key === patchDirective ||
    key === retainKeysDirective ||
    key.startsWith(orderPrefix) ||
    key.startsWith(deletePrefix)
  );
}

/** `merge`, `replace` or none; `retainKeys` beside them only matters to those who compute patches. */
function strategyOf(field: Field): string | undefined {
  return field.patchStrategy.find((strategy) => strategy !== 'retainKeys');
}

function definitionOf(field: Field | undefined): Definition | undefined {
  let type = field?.type;
  while (type && (type.kind === 'list' || type.kind === 'map')) type = type.of;
  return type?.kind === 'object' && !type.definition.special ? type.definition : undefined;
}

function bad(detail: string): ObjectError {
  return new ObjectError('BAD_PATCH', detail);
}
