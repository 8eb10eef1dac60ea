/**
 * Server-side apply (KEP-555): an applier says what it wants of an object and owns exactly that. What it no
 * longer says is removed unless others own it; what others own and it says differently is a conflict, unless
 * forced. Other writes are tracked too, so that appliers meet them.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ExpectedKind } from '../decode.js';
import { decodeValue } from '../decode.js';
import { ObjectError } from '../errors.js';
import type { StatusCause } from '../errors.js';
import { apiVersionOf } from '../registry.js';
import { formatTime } from '../time.js';
import { at, textAt } from '../table/cells.js';
import type { JsonObject } from '../typed.js';
import { isObject, setOwn } from '../typed.js';
import { FieldSet, printPath } from './field-set.js';
import { differenceOf, fieldsOf, mergeValues, removeFields, shapeOfDefinition } from './field-walk.js';
import type { FieldManager } from './managed-fields.js';
import { isReset, readManagers, sameManager, withoutServerFields, writeManagers } from './managed-fields.js';

export interface WriteContext {
  readonly kind: ExpectedKind;
  /** The fieldManager of the request. */
  readonly manager: string;
  readonly nowMs: number;
  /** `status`, `scale` ...; '' for the object itself. */
  readonly subresource: string;
}

export interface ApplyRequest extends WriteContext {
  /** The stored object in the request's version; undefined creates. */
  readonly live: JsonObject | undefined;
  /** The applied document as parsed, not yet typed or defaulted. */
  readonly patch: unknown;
  readonly force: boolean;
}

/**
 * The object as it should be written, typed, with its managedFields; equal to `live` when nothing changes.
 * Throws MALFORMED and STRICT_DECODING (unknown fields are never let through here) and APPLY_CONFLICT with
 * its causes.
 */
export function applyServerSide(request: ApplyRequest): JsonObject {
  const { kind, live, force } = request;
  const shape = shapeOfDefinition(kind.definition);
  const applied = readApplied(request);
  const entry = managerEntry(request, 'Apply');
  const wanted = forSubresource(withoutServerFields(fieldsOf(applied, shape)), request);
  const managers = liveManagers(request);
  const own = managers.find((manager) => sameManager(manager, entry));
  const others = managers.filter((manager) => manager !== own);

  const kept = onlySubresource(applied, request);
  const merged = mergeValues(live, kept, shape) as JsonObject;
  const changed = live ? differenceOf(live, merged, shape).changed : new FieldSet();
  const conflicts = others
    .map((manager) => ({ manager, fields: manager.fields.intersection(changed.intersection(wanted)) }))
    .filter(({ fields }) => !fields.isEmpty);
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  const losing = others.map((manager) => ({ ...manager, fields: manager.fields.difference(changed) }));

  const dropped = own ? own.fields.difference(wanted) : new FieldSet();
  const keptByOthers = losing.reduce((all, manager) => all.union(manager.fields), wanted);
  const pruned = removeFields(merged, dropped.difference(keptByOthers), keptByOthers, shape);
  const { object } = decodeValue(pruned, kind, 'Ignore');

  const unchanged =
    live !== undefined && own !== undefined && own.fields.equals(wanted) && sameContent(object, live);
  if (unchanged) return live;
  const written = writeManagers([
    ...losing,
    { ...entry, fields: wanted, time: own?.fields.equals(wanted) === true ? own.time : entry.time },
  ]);
  return withManagedFields(object, written);
}

export interface UpdateRequest extends WriteContext {
  readonly live: JsonObject | undefined;
  /** Typed, defaulted, as it will be stored. */
  readonly object: JsonObject;
}

/** The object with managedFields that credit its manager with what this create, update or patch changed. */
export function trackUpdate(request: UpdateRequest): JsonObject {
  const { live, object, kind } = request;
  const shape = shapeOfDefinition(kind.definition);
  const entry = managerEntry(request, 'Update');
  const wiped = isReset(at(object, 'metadata', 'managedFields'));
  if (wiped) return withManagedFields(object, []);
  const managers = readManagers(live);
  const difference = differenceOf(live, object, shape);
  const all = withoutServerFields(difference.changed);
  const changed = request.subresource === '' ? forSubresource(all, request) : all;
  const removed = withoutServerFields(difference.removed);
  if (live && changed.isEmpty && removed.isEmpty) {
    return withManagedFields(object, (at(live, 'metadata', 'managedFields') ?? []) as JsonObject[]);
  }
  const own = managers.find((manager) => sameManager(manager, entry));
  const others = managers
    .filter((manager) => manager !== own)
    .map((manager) => ({
      ...manager,
      fields: manager.fields.difference(changed).recursiveDifference(removed),
    }));
  const fields = (own?.fields ?? new FieldSet()).recursiveDifference(removed).union(changed);
  const time = own?.fields.equals(fields) === true && changed.isEmpty ? own.time : entry.time;
  return withManagedFields(object, writeManagers([...others, { ...entry, fields, time }]));
}

/** Equal but for managedFields: a write that would change nothing. */
export function sameContent(a: JsonObject, b: JsonObject): boolean {
  return isDeepStrictEqual(withoutManagedFields(a), withoutManagedFields(b));
}

function managerEntry(request: WriteContext, operation: 'Apply' | 'Update'): Omit<FieldManager, 'fields'> {
  return {
    manager: request.manager,
    operation,
    apiVersion: apiVersionOf(request.kind),
    subresource: request.subresource,
    time: formatTime(request.nowMs),
  };
}

/** Objects from before anyone was tracked are owned, whole, by a manager of that name. */
function liveManagers(request: ApplyRequest): FieldManager[] {
  const { live, kind } = request;
  const managers = readManagers(live);
  if (!live || managers.length > 0) return managers;
  return [
    {
      manager: 'before-first-apply',
      operation: 'Update',
      apiVersion: apiVersionOf(kind),
      subresource: '',
      time: formatTime(request.nowMs),
      fields: withoutServerFields(fieldsOf(live, shapeOfDefinition(kind.definition))),
    },
  ];
}

/**
 * Canonical values, but only the fields that the applier wrote: defaults and empty structs are not its own.
 */
function readApplied({ patch, kind }: ApplyRequest): JsonObject {
  if (isObject(patch)) checkApplied(patch, kind);
  try {
    const { object } = decodeValue(patch, kind, 'Strict');
    return onlyGiven(patch, object) as JsonObject;
  } catch (error) {
    if (!(error instanceof ObjectError) || error.code !== 'STRICT_DECODING') throw error;
    throw notInSchema(patch, kind, error);
  }
}

function checkApplied(patch: JsonObject, kind: ExpectedKind): void {
  if (at(patch, 'metadata', 'managedFields') !== undefined) {
    throw new ObjectError('MALFORMED', 'metadata.managedFields must be nil');
  }
  if (textAt(patch, 'kind') === '') {
    const text = `error decoding YAML: Object 'Kind' is missing in '${JSON.stringify(patch)}'`;
    throw new ObjectError('MALFORMED', text);
  }
  const [given, expected] = [textAt(patch, 'apiVersion'), apiVersionOf(kind)];
  if (given === expected) return;
  throw new ObjectError(
    'MALFORMED',
    `Incorrect version specified in apply patch. Specified patch version: ${given}, expected: ${expected}`,
  );
}

/** In the words of structured-merge-diff. */
function notInSchema(patch: unknown, kind: ExpectedKind, cause: ObjectError): ObjectError {
  const paths = [...cause.message.matchAll(/unknown field "([^"]*)"/g)].map((match) => match[1]!);
  const faults = paths.map((path) => `.${path}: field not declared in schema`);
  const text =
    faults.length === 1 ? faults[0]! : ['errors:', ...faults.map((each) => `  ${each}`)].join('\n');
  const name = `${textAt(patch, 'metadata', 'namespace')}/${textAt(patch, 'metadata', 'name')}`;
  const type = `${kind.group}/${kind.version}, Kind=${kind.kind}`;
  return new ObjectError('NOT_IN_SCHEMA', `failed to create typed patch object (${name}; ${type}): ${text}`, {
    cause,
  });
}

function onlyGiven(given: unknown, typed: unknown): unknown {
  if (isObject(given) && isObject(typed)) {
    const result: JsonObject = {};
    for (const [key, value] of Object.entries(given)) {
      if (value === null) continue;
      setOwn(result, key, Object.hasOwn(typed, key) ? onlyGiven(value, typed[key]) : value);
    }
    return result;
  }
  if (Array.isArray(given) && Array.isArray(typed) && given.length === typed.length) {
    return given.map((value: unknown, index) => onlyGiven(value, typed[index]));
  }
  return typed;
}

/** Through the object itself nobody applies status; through status, nothing else. */
function forSubresource(fields: FieldSet, { subresource, kind }: WriteContext): FieldSet {
  if (subresource !== 'status' && kind.subresources?.has('status') !== true) return fields;
  const status = fields.children.get('f:status');
  const result = new FieldSet();
  if (subresource === 'status') {
    if (status) result.children.set('f:status', status);
    return result;
  }
  for (const [edge, child] of fields.children) if (edge !== 'f:status') result.children.set(edge, child);
  return result;
}

function onlySubresource(applied: JsonObject, { subresource, live, kind }: ApplyRequest): JsonObject {
  if (subresource === 'status') return 'status' in applied ? { status: applied['status'] } : {};
  const rest = { ...applied };
  if (kind.subresources?.has('status') === true) delete rest['status'];
  if (!live) return rest;
  // Identity and server fields come from the stored object.
  const metadata = isObject(rest['metadata']) ? { ...rest['metadata'] } : {};
  for (const key of ['uid', 'resourceVersion', 'creationTimestamp', 'generation', 'managedFields'])
    delete metadata[key];
  return { ...rest, metadata };
}

function withManagedFields(object: JsonObject, managedFields: readonly JsonObject[]): JsonObject {
  const metadata = { ...(isObject(object['metadata']) ? object['metadata'] : {}) };
  delete metadata['managedFields'];
  if (managedFields.length > 0) metadata['managedFields'] = managedFields;
  return { ...object, metadata };
}

function withoutManagedFields(object: JsonObject): JsonObject {
  return withManagedFields(object, []);
}

interface Conflict {
  readonly manager: FieldManager;
  readonly fields: FieldSet;
}

function conflictError(conflicts: readonly Conflict[]): ObjectError {
  const causes: StatusCause[] = [];
  const texts: string[] = [];
  for (const { manager, fields } of conflicts) {
    const name = describeManager(manager);
    const paths = fields.paths().map(printPath);
    for (const field of paths)
      causes.push({ reason: 'FieldManagerConflict', message: `conflict with ${name}`, field });
    texts.push(
      paths.length === 1
        ? `conflict with ${name}: ${paths[0]!}`
        : `conflicts with ${name}:\n${paths.map((path) => `- ${path}`).join('\n')}`,
    );
  }
  const count = `${causes.length} conflict${causes.length === 1 ? '' : 's'}`;
  return new ObjectError('APPLY_CONFLICT', `Apply failed with ${count}: ${texts.join('\n')}`, { causes });
}

function describeManager({ manager, subresource, apiVersion, operation, time }: FieldManager): string {
  const through = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`;
  const when = time === '' ? '' : ` at ${time}`;
  const how = operation === 'Update' ? ` using ${apiVersion}${when}` : '';
  return `${JSON.stringify(manager)}${through}${how}`;
}
