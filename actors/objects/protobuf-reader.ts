/**
 * Objects out of `application/vnd.kubernetes.protobuf`, by the schema table. What comes out is the JSON form of the object, as
 * Go would print it; client-go sends this by default since v0.32.
 */
import { ObjectError } from './errors.js';
import { objectLimits } from './limits.js';
import { isProtobuf, readEnvelope } from './protobuf-envelope.js';
import { unionSchema, type WireField, type WirePlan, wirePlanOf } from './protobuf-plan.js';
import { malformed, textOf, WireReader, type WireType } from './protobuf-wire.js';
import { canonicalQuantity } from './quantity.js';
import { parseApiVersion } from './registry.js';
import { type Definition, type FieldType, schemaTable } from './schema-table.js';
import { formatTime, printMicroTime } from './time.js';
import { FieldIssues, type JsonObject, setOwn, toTyped, zeroOf } from './typed.js';

export interface DecodedProtobuf {
  /** As the envelope says; '' when it does not. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly object: JsonObject;
}

/** By the kind that the envelope names. Throws MALFORMED and UNSUPPORTED_MEDIA_TYPE. */
export function decodeProtobuf(bytes: Uint8Array): DecodedProtobuf {
  const { apiVersion, kind, raw } = readEnvelope(bytes);
  const gv = parseApiVersion(apiVersion);
  const definition = gv && schemaTable().byGvk(gv.group, gv.version, kind);
  if (!definition) {
    throw new ObjectError(
      'UNSUPPORTED_MEDIA_TYPE',
      `no kind "${kind}" in version "${apiVersion}" is known as protobuf`,
    );
  }
  return { apiVersion, kind, object: decodeMessage(raw, definition) };
}

/** As `definition`, whatever the envelope names; the caller compares. Throws MALFORMED. */
export function decodeProtobufAs(bytes: Uint8Array, definition: Definition): DecodedProtobuf {
  const { apiVersion, kind, raw } = readEnvelope(bytes);
  return { apiVersion, kind, object: decodeMessage(raw, definition) };
}

/** A bare message; the result is typed. Throws MALFORMED. */
function decodeMessage(raw: Uint8Array, definition: Definition): JsonObject {
  const object: JsonObject = {};
  readMessage(new WireReader(raw), wirePlanOf(definition), object, 0);
  return toTyped(object, definition, new FieldIssues());
}

function readMessage(reader: WireReader, plan: WirePlan, into: JsonObject, depth: number): void {
  if (depth > objectLimits.depthMax) throw malformed(`nested more than ${objectLimits.depthMax} deep`);
  while (!reader.done) {
    const { number, wire } = reader.tag();
    const entry = plan.byNumber.get(number);
    if (!entry) reader.skip(wire);
    else if (entry.type === 'inline') {
      if (wire !== 2) throw malformed(`wrong wire type ${wire} for an embedded message`);
      readMessage(new WireReader(reader.bytes()), entry.plan, into, depth + 1);
    } else readField(reader, wire, entry.field, into, depth);
  }
}

function readField(
  reader: WireReader,
  wire: WireType,
  field: WireField,
  into: JsonObject,
  depth: number,
): void {
  const { type, name } = field;
  if (type.kind === 'list') {
    const list = (into[name] ??= []) as unknown[];
    if (field.wrapped) readWrappedList(reader, wire, type.of, list, depth);
    else readElement(reader, wire, type.of, list, depth);
  } else if (type.kind === 'map') {
    const map = (into[name] ??= {}) as JsonObject;
    readMapEntry(reader, wire, type.of, map, depth);
  } else {
    into[name] = readSingle(reader, wire, type, depth);
  }
}

function readElement(
  reader: WireReader,
  wire: WireType,
  of: FieldType,
  list: unknown[],
  depth: number,
): void {
  const packable =
    of.kind === 'int32' || of.kind === 'int64' || of.kind === 'boolean' || of.kind === 'double';
  if (wire === 2 && packable) {
    const packed = new WireReader(reader.bytes());
    while (!packed.done) list.push(readSingle(packed, of.kind === 'double' ? 1 : 0, of, depth));
  } else list.push(readSingle(reader, wire, of, depth));
}

function readWrappedList(
  reader: WireReader,
  wire: WireType,
  of: FieldType,
  list: unknown[],
  depth: number,
): void {
  if (wire !== 2) throw malformed(`wrong wire type ${wire} for a list`);
  const inner = new WireReader(reader.bytes());
  while (!inner.done) {
    const tag = inner.tag();
    if (tag.number === 1) readElement(inner, tag.wire, of, list, depth + 1);
    else inner.skip(tag.wire);
  }
}

function readMapEntry(
  reader: WireReader,
  wire: WireType,
  of: FieldType,
  map: JsonObject,
  depth: number,
): void {
  if (wire !== 2) throw malformed(`wrong wire type ${wire} for a map`);
  const entry = new WireReader(reader.bytes());
  let key = '';
  let value: unknown;
  while (!entry.done) {
    const tag = entry.tag();
    if (tag.number === 1 && tag.wire === 2) key = textOf(entry.bytes());
    else if (tag.number === 2) {
      if (of.kind === 'list') {
        const list = (value ??= []) as unknown[];
        readWrappedList(entry, tag.wire, of.of, list, depth + 1);
      } else value = readSingle(entry, tag.wire, of, depth + 1);
    } else entry.skip(tag.wire);
  }
  const zero = () => (of.kind === 'object' ? readNested(new Uint8Array(), of.definition, 0) : zeroOf(of));
  setOwn(map, key, value ?? zero());
}

function readSingle(reader: WireReader, wire: WireType, type: FieldType, depth: number): unknown {
  const expected = type.kind === 'double' ? 1 : ['boolean', 'int32', 'int64'].includes(type.kind) ? 0 : 2;
  if (wire !== expected) throw malformed(`wrong wire type ${wire} for a ${type.kind}`);
  switch (type.kind) {
    case 'string':
      return textOf(reader.bytes());
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'boolean':
      return reader.int64() !== 0;
    case 'double':
      return reader.double();
    case 'int32':
      return reader.int32();
    case 'int64':
      return reader.int64();
    case 'object':
      return readNested(reader.bytes(), type.definition, depth + 1);
    case 'list':
    case 'map':
      throw malformed(`a ${type.kind} cannot stand inside a ${type.kind}`);
    default:
      return type satisfies never;
  }
}

function readNested(bytes: Uint8Array, definition: Definition, depth: number): unknown {
  const special = definition.special;
  switch (special) {
    case undefined: {
      const object: JsonObject = {};
      readMessage(new WireReader(bytes), wirePlanOf(definition), object, depth);
      return object;
    }
    case 'quantity':
      return canonicalQuantity(textOf(readNumbered(bytes).get(1) as Uint8Array | undefined) || '0');
    case 'time':
    case 'microTime': {
      if (bytes.length === 0) return null;
      const numbers = readNumbered(bytes);
      const seconds = Number(numbers.get(1) ?? 0);
      const nanos = Number(numbers.get(2) ?? 0);
      return special === 'time' ? formatTime(seconds * 1000) : printMicroTime(seconds, nanos);
    }
    case 'intOrString': {
      const numbers = readNumbered(bytes);
      return numbers.get(1) === 1
        ? textOf(numbers.get(3) as Uint8Array | undefined)
        : Number(numbers.get(2) ?? 0) | 0;
    }
    case 'raw':
    case 'json':
      return readRaw(readNumbered(bytes).get(1) as Uint8Array | undefined);
    case 'union':
      return readUnion(bytes, definition, depth);
    default:
      return special satisfies never;
  }
}

/** A message of scalars: numbers for varints, bytes otherwise; the last of each number. */
function readNumbered(bytes: Uint8Array): Map<number, number | Uint8Array> {
  const reader = new WireReader(bytes);
  const values = new Map<number, number | Uint8Array>();
  while (!reader.done) {
    const { number, wire } = reader.tag();
    if (wire === 0) values.set(number, reader.int64());
    else if (wire === 2) values.set(number, reader.bytes());
    else reader.skip(wire);
  }
  return values;
}

function readRaw(bytes: Uint8Array | undefined): unknown {
  if (!bytes || bytes.length === 0) return null;
  if (isProtobuf(bytes)) {
    const { apiVersion, kind, object } = decodeProtobuf(bytes);
    return { ...object, apiVersion, kind };
  }
  try {
    return JSON.parse(textOf(bytes)) as unknown;
  } catch (cause) {
    throw new ObjectError('MALFORMED', 'proto: an embedded value is not JSON', { cause });
  }
}

/**
 * JSONSchemaPropsOrArray {1 schema, 2 repeated schemas}, -OrBool {1 allows, 2 schema}, -OrStringArray {1, 2
 * strings}.
 */
function readUnion(bytes: Uint8Array, definition: Definition, depth: number): unknown {
  const schema = unionSchema();
  const strings = definition.name.endsWith('OrStringArray');
  const reader = new WireReader(bytes);
  const many: unknown[] = [];
  let single: unknown;
  let allows: boolean | undefined;
  while (!reader.done) {
    const { number, wire } = reader.tag();
    if (wire === 0) allows = reader.int64() !== 0;
    else if (wire !== 2) reader.skip(wire);
    else if (number === 2 && strings) many.push(textOf(reader.bytes()));
    else if (number === 2 && !definition.name.endsWith('OrBool'))
      many.push(readNested(reader.bytes(), schema, depth + 1));
    else single = readNested(reader.bytes(), schema, depth + 1);
  }
  if (many.length > 0) return many;
  return single ?? allows ?? null;
}
