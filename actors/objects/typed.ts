/**
 * Brings a JSON value into the form that Go's types would give it back in: unknown fields dropped and named,
 * types checked, nulls and empty `omitempty` values dropped, plain structs present, quantities and times
 * canonical, keys sorted. Two objects that mean the same thing then have the same bytes, which is how no-op
 * writes are found.
 */
import { ObjectError } from './errors.js';
import { objectLimits } from './limits.js';
import { canonicalQuantity } from './quantity.js';
import type { Definition, Field, FieldType } from './schema-table.js';
import { canonicalMicroTime, canonicalTime } from './time.js';

export type JsonObject = Record<string, unknown>;

/** Collects what strict decoding complains about. */
export class FieldIssues {
  readonly unknown: string[] = [];

  addUnknown(path: string): void {
    if (this.unknown.length < objectLimits.decodingIssuesMax) this.unknown.push(`unknown field "${path}"`);
  }
}

/** Throws MALFORMED for a value of a wrong type, or nested too deeply. */
export function toTyped(value: unknown, definition: Definition, issues: FieldIssues): JsonObject {
  return readObject(value, definition, { path: '', owner: definition, depth: 0, issues });
}

interface Place {
  readonly path: string;
  /** The struct whose field this is, for the message. */
  readonly owner: Definition;
  readonly depth: number;
  readonly issues: FieldIssues;
}

function readObject(value: unknown, definition: Definition, place: Place): JsonObject {
  if (!isObject(value)) throw wrongType(value, place, shortName(definition));
  checkDepth(place);
  const result: JsonObject = {};
  let known = 0;
  for (const [name, field] of definition.fields) {
    const given = Object.hasOwn(value, name) ? value[name] : undefined;
    if (given !== undefined) known++;
    const read = readField(given, field, name, definition, place);
    if (read !== undefined) result[name] = read;
  }
  if (known !== Object.keys(value).length) nameUnknown(value, definition, place);
  return result;
}

function readField(given: unknown, field: Field, name: string, owner: Definition, place: Place): unknown {
  if (given === undefined || given === null) return absentValue(field, place);
  const path = place.path === '' ? name : `${place.path}.${name}`;
  const inner: Place = { path, owner, depth: place.depth + 1, issues: place.issues };
  const read = readValue(given, field.type, inner);
  if (read === undefined) return absentValue(field, place);
  return !field.pointer && !field.always && isOmittedWhenEmpty(read, field.type) ? undefined : read;
}

/** What Go prints for a field that was not given. */
function absentValue(field: Field, place: Place): unknown {
  if (field.pointer) return undefined;
  const { type } = field;
  if (type.kind === 'object') {
    if (field.omitZero || type.definition.special) {
      return field.always && type.definition.special ? zeroOfSpecial(type.definition) : undefined;
    }
    if (type.definition.fields.size === 0) return undefined;
    return readObject({}, type.definition, { ...place, depth: place.depth + 1 });
  }
  return field.always ? zeroOf(type) : undefined;
}

/** What Go has where nothing was given; a nil list or map is told as an empty one. */
export function zeroOf(type: Exclude<FieldType, { readonly kind: 'object' }>): unknown {
  switch (type.kind) {
    case 'string':
    case 'bytes':
      return '';
    case 'boolean':
      return false;
    case 'double':
    case 'int32':
    case 'int64':
      return 0;
    case 'list':
      return [];
    case 'map':
      return {};
    default:
      return type satisfies never;
  }
}

function zeroOfSpecial(definition: Definition): unknown {
  switch (definition.special) {
    case 'quantity':
      return '0';
    case 'intOrString':
      return 0;
    default:
      // A zero time prints as null, which is dropped; raw values have no zero.
      return undefined;
  }
}

function isOmittedWhenEmpty(value: unknown, type: FieldType): boolean {
  switch (type.kind) {
    case 'string':
    case 'bytes':
      return value === '';
    case 'boolean':
      return value === false;
    case 'double':
    case 'int32':
    case 'int64':
      return value === 0;
    case 'list':
      return (value as unknown[]).length === 0;
    case 'map':
      return Object.keys(value as object).length === 0;
    case 'object':
      return false;
    default:
      return type satisfies never;
  }
}

function readValue(value: unknown, type: FieldType, place: Place): unknown {
  switch (type.kind) {
    case 'string':
      if (typeof value !== 'string') throw wrongType(value, place, 'string');
      return value;
    case 'bytes':
      return readBytes(value, place);
    case 'boolean':
      if (typeof value !== 'boolean') throw wrongType(value, place, 'bool');
      return value;
    case 'double':
      if (typeof value !== 'number') throw wrongType(value, place, 'float64');
      return value;
    case 'int32':
    case 'int64':
      return readInteger(value, type.kind, place);
    case 'list':
      return readList(value, type.of, place);
    case 'map':
      return readMap(value, type.of, place);
    case 'object':
      return type.definition.special
        ? readSpecial(value, type.definition, place)
        : type.definition.fields.size === 0
          ? readFree(value, place)
          : readObject(value, type.definition, place);
    default:
      return type satisfies never;
  }
}

function readInteger(value: unknown, kind: 'int32' | 'int64', place: Place): number {
  if (typeof value !== 'number') throw wrongType(value, place, kind);
  if (!Number.isInteger(value) || (kind === 'int32' && value !== (value | 0))) {
    throw wrongType(value, place, kind);
  }
  if (!Number.isSafeInteger(value)) {
    throw new ObjectError(
      'MALFORMED',
      `${place.path}: ${value} is beyond the integers that are kept exactly (2^53 - 1)`,
    );
  }
  return value === 0 ? 0 : value;
}

function readBytes(value: unknown, place: Place): string {
  if (typeof value !== 'string') throw wrongType(value, place, '[]uint8');
  const compact = value.replace(/[\r\n]/g, '');
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) {
    const strange = compact.search(/[^A-Za-z0-9+/]/);
    const at = strange === -1 ? compact.length - (compact.length % 4) : strange;
    throw new ObjectError('MALFORMED', `${place.path}: illegal base64 data at input byte ${at}`);
  }
  return compact;
}

function readList(value: unknown, of: FieldType, place: Place): unknown[] {
  if (!Array.isArray(value)) throw wrongType(value, place, `[]${goType(of)}`);
  const list: unknown[] = [];
  for (let index = 0; index < value.length; index++) {
    const entry: unknown = value[index];
    const inner = { ...place, path: `${place.path}[${index}]`, depth: place.depth + 1 };
    const read = entry === null ? zeroEntry(of, inner) : readValue(entry, of, inner);
    if (read !== undefined) list.push(read);
  }
  return list;
}

/** A null in a list is the zero value of its type in Go. */
function zeroEntry(of: FieldType, place: Place): unknown {
  if (of.kind === 'list' || of.kind === 'map') return undefined;
  if (of.kind !== 'object') return zeroOf(of);
  const isOpaque = of.definition.special || of.definition.fields.size === 0;
  return isOpaque ? undefined : readObject({}, of.definition, place);
}

function readMap(value: unknown, of: FieldType, place: Place): JsonObject {
  if (!isObject(value)) throw wrongType(value, place, `map[string]${goType(of)}`);
  const map: JsonObject = {};
  for (const key of Object.keys(value).sort()) {
    const entry = value[key];
    const inner = { ...place, path: `${place.path}.${key}`, depth: place.depth + 1 };
    const read = entry === null ? zeroEntry(of, inner) : readValue(entry, of, inner);
    if (read !== undefined) setOwn(map, key, read);
  }
  return map;
}

function readSpecial(value: unknown, definition: Definition, place: Place): unknown {
  const { special } = definition;
  switch (special) {
    case undefined:
      return undefined;
    case 'quantity':
      if (typeof value !== 'string' && typeof value !== 'number')
        throw wrongType(value, place, 'resource.Quantity');
      return value === '' ? '0' : within(place, () => canonicalQuantity(value));
    case 'time':
      if (typeof value !== 'string') throw wrongType(value, place, 'v1.Time');
      return value === '' ? undefined : within(place, () => canonicalTime(value));
    case 'microTime':
      if (typeof value !== 'string') throw wrongType(value, place, 'v1.MicroTime');
      return value === '' ? undefined : within(place, () => canonicalMicroTime(value));
    case 'intOrString':
      if (typeof value === 'string') return value;
      return readInteger(value, 'int32', place);
    case 'raw':
      if (!isObject(value) && !Array.isArray(value)) throw wrongType(value, place, shortName(definition));
      return readFree(value, place);
    case 'json':
      return readFree(value, place);
    case 'union':
      return readUnion(value, definition, place);
    default:
      return special satisfies never;
  }
}

/** JSONSchemaPropsOrArray, -OrBool, -OrStringArray: a schema, or the other thing. */
function readUnion(value: unknown, definition: Definition, place: Place): unknown {
  const schema = schemaOf(definition, place);
  if (Array.isArray(value)) {
    return value.map((entry) => (typeof entry === 'string' ? entry : readObject(entry, schema, place)));
  }
  if (typeof value === 'boolean') return value;
  return readObject(value, schema, place);
}

function schemaOf(union: Definition, place: Place): Definition {
  // The unions occur only inside JSONSchemaProps itself.
  if (place.owner.name.endsWith('.JSONSchemaProps')) return place.owner;
  throw new ObjectError('MALFORMED', `${place.path}: a ${shortName(union)} is not expected here`);
}

/** Free-form JSON: kept as it is, with sorted keys. */
function readFree(value: unknown, place: Place): unknown {
  if (typeof value !== 'object' || value === null) return value;
  checkDepth(place);
  const inner = { ...place, depth: place.depth + 1 };
  if (Array.isArray(value)) return value.map((entry) => readFree(entry, inner));
  const result: JsonObject = {};
  for (const key of Object.keys(value).sort())
    setOwn(result, key, readFree((value as JsonObject)[key], inner));
  return result;
}

/** Sorts keys at every depth, changing nothing else; for custom resources. Throws MALFORMED when too deep. */
export function sortKeys(value: unknown, owner: Definition): unknown {
  return readFree(value, { path: '', owner, depth: 0, issues: new FieldIssues() });
}

/** `__proto__` is a key like any other in JSON. */
export function setOwn(target: JsonObject, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  } else target[key] = value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameUnknown(value: JsonObject, definition: Definition, place: Place): void {
  for (const key of Object.keys(value)) {
    if (!definition.fields.has(key)) {
      place.issues.addUnknown(place.path === '' ? key : `${place.path}.${key}`);
    }
  }
}

function checkDepth(place: Place): void {
  if (place.depth > objectLimits.depthMax) {
    throw new ObjectError('MALFORMED', `${place.path}: nested more than ${objectLimits.depthMax} deep`);
  }
}

function within<T>(place: Place, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ObjectError)) throw error;
    throw new ObjectError('MALFORMED', `${place.path}: ${error.message}`, { cause: error });
  }
}

function wrongType(value: unknown, place: Place, expected: string): ObjectError {
  const given = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const shown =
    given === 'boolean' ? 'bool' : given === 'number' && expected.startsWith('int') ? numberOf(value) : given;
  const where = place.path === '' ? 'Go value' : `Go struct field ${shortName(place.owner)}.${place.path}`;
  return new ObjectError('MALFORMED', `json: cannot unmarshal ${shown} into ${where} of type ${expected}`);
}

function numberOf(value: unknown): string {
  return `number ${String(value)}`;
}

function shortName(definition: Definition): string {
  return definition.name.slice(definition.name.lastIndexOf('.') + 1);
}

function goType(type: FieldType): string {
  switch (type.kind) {
    case 'string':
      return 'string';
    case 'bytes':
      return '[]uint8';
    case 'boolean':
      return 'bool';
    case 'double':
      return 'float64';
    case 'int32':
    case 'int64':
      return type.kind;
    case 'list':
      return `[]${goType(type.of)}`;
    case 'map':
      return `map[string]${goType(type.of)}`;
    case 'object':
      return shortName(type.definition);
    default:
      return type satisfies never;
  }
}
