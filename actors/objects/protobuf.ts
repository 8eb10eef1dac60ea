/**
 * `application/vnd.kubernetes.protobuf` by the schema table: four magic bytes, then runtime.Unknown
 * {typeMeta, raw, contentEncoding, contentType}, whose raw is the object's message. What comes out is the
 * JSON form of the object, as Go would print it; client-go sends this by default since v0.32.
 */
import { objectLimits } from './limits.js';
import { wirePlanOf } from './protobuf-plan.js';
import type { WireField, WirePlan } from './protobuf-plan.js';
import { WireReader, WireWriter, malformed } from './protobuf-wire.js';
import type { WireType } from './protobuf-wire.js';
import { ObjectError } from './errors.js';
import { canonicalQuantity } from './quantity.js';
import { parseApiVersion } from './registry.js';
import type { Definition, FieldType } from './schema-table.js';
import { schemaTable } from './schema-table.js';
import { formatTime, parseTimestamp, printMicroTime } from './time.js';
import type { JsonObject } from './typed.js';
import { FieldIssues, isObject, setOwn, toTyped, zeroOf } from './typed.js';

const magic = Uint8Array.from([0x6b, 0x38, 0x73, 0x00]);

export interface DecodedProtobuf {
  /** As the envelope says; '' when it does not. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly object: JsonObject;
}

export function isProtobuf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && magic.every((byte, index) => bytes[index] === byte);
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

/** The object must be typed (see typed.ts). */
export function encodeProtobuf(object: JsonObject, definition: Definition): Buffer {
  const typeMeta = new WireWriter();
  typeMeta.string(1, typeof object['apiVersion'] === 'string' ? object['apiVersion'] : '');
  typeMeta.string(2, typeof object['kind'] === 'string' ? object['kind'] : '');
  const envelope = new WireWriter();
  envelope.bytes(1, typeMeta.finish());
  envelope.bytes(2, writeMessage(object, wirePlanOf(definition)));
  envelope.string(3, '');
  envelope.string(4, '');
  return Buffer.concat([magic, envelope.finish()]);
}

function readEnvelope(bytes: Uint8Array): { apiVersion: string; kind: string; raw: Uint8Array } {
  if (!isProtobuf(bytes)) {
    throw malformed('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]');
  }
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array = new Uint8Array();
  const reader = new WireReader(bytes.subarray(4));
  while (!reader.done) {
    const { number, wire } = reader.tag();
    if (number === 1 && wire === 2) {
      const typeMeta = new WireReader(reader.bytes());
      while (!typeMeta.done) {
        const tag = typeMeta.tag();
        if (tag.number === 1 && tag.wire === 2) apiVersion = readText(typeMeta.bytes());
        else if (tag.number === 2 && tag.wire === 2) kind = readText(typeMeta.bytes());
        else typeMeta.skip(tag.wire);
      }
    } else if (number === 2 && wire === 2) raw = reader.bytes();
    else if (number === 3 && wire === 2) {
      const encoding = readText(reader.bytes());
      if (encoding !== '') {
        throw new ObjectError('UNSUPPORTED_MEDIA_TYPE', `content encoding "${encoding}" is not supported`);
      }
    } else reader.skip(wire);
  }
  return { apiVersion, kind, raw };
}

/** A bare message; the result is typed. Throws MALFORMED. */
export function decodeMessage(raw: Uint8Array, definition: Definition): JsonObject {
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
    if (tag.number === 1 && tag.wire === 2) key = readText(entry.bytes());
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
      return readText(reader.bytes());
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
      return canonicalQuantity(readText(readNumbered(bytes).get(1) as Uint8Array | undefined) || '0');
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
        ? readText(numbers.get(3) as Uint8Array | undefined)
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
    return JSON.parse(readText(bytes)) as unknown;
  } catch (cause) {
    throw new ObjectError('MALFORMED', 'proto: an embedded value is not JSON', { cause });
  }
}

const jsonSchemaProps = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps';

/**
 * JSONSchemaPropsOrArray {1 schema, 2 repeated schemas}, -OrBool {1 allows, 2 schema}, -OrStringArray {1, 2
 * strings}.
 */
function readUnion(bytes: Uint8Array, definition: Definition, depth: number): unknown {
  const schema = schemaTable().definition(jsonSchemaProps);
  const strings = definition.name.endsWith('OrStringArray');
  const reader = new WireReader(bytes);
  const many: unknown[] = [];
  let single: unknown;
  let allows: boolean | undefined;
  while (!reader.done) {
    const { number, wire } = reader.tag();
    if (wire === 0) allows = reader.int64() !== 0;
    else if (wire !== 2) reader.skip(wire);
    else if (number === 2 && strings) many.push(readText(reader.bytes()));
    else if (number === 2 && !definition.name.endsWith('OrBool'))
      many.push(readNested(reader.bytes(), schema, depth + 1));
    else single = readNested(reader.bytes(), schema, depth + 1);
  }
  if (many.length > 0) return many;
  return single ?? allows ?? null;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readText(bytes: Uint8Array | undefined): string {
  if (!bytes) return '';
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new ObjectError('MALFORMED', 'proto: a string is not valid UTF-8', { cause });
  }
}

function writeMessage(object: JsonObject, plan: WirePlan): Buffer {
  const writer = new WireWriter();
  for (const entry of plan.entries) {
    if (entry.type === 'inline') {
      writer.bytes(entry.number, writeMessage(object, entry.plan));
      continue;
    }
    const { name, type, number, wrapped, pointer } = entry.field;
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    if (value !== undefined && value !== null) writeField(writer, number, type, value, wrapped);
    else if (!pointer && type.kind !== 'list' && type.kind !== 'map') writeZero(writer, number, type);
  }
  return writer.finish();
}

/** Go writes plain values even when they are zero. */
function writeZero(writer: WireWriter, number: number, type: FieldType): void {
  if (type.kind === 'bytes') return;
  if (type.kind !== 'object') writeField(writer, number, type, zeroOf(type), false);
  else if (type.definition.special === undefined)
    writer.bytes(number, writeMessage({}, wirePlanOf(type.definition)));
  else writer.bytes(number, new Uint8Array());
}

function writeField(
  writer: WireWriter,
  number: number,
  type: FieldType,
  value: unknown,
  wrapped: boolean,
): void {
  switch (type.kind) {
    case 'list': {
      const target = wrapped ? new WireWriter() : writer;
      for (const entry of value as unknown[]) writeField(target, wrapped ? 1 : number, type.of, entry, false);
      if (wrapped) writer.bytes(number, target.finish());
      break;
    }
    case 'map':
      for (const [key, entry] of Object.entries(value as JsonObject)) {
        const pair = new WireWriter();
        pair.string(1, key);
        writeField(pair, 2, type.of, entry, type.of.kind === 'list');
        writer.bytes(number, pair.finish());
      }
      break;
    case 'string':
      writer.string(number, value as string);
      break;
    case 'bytes':
      writer.bytes(number, Buffer.from(value as string, 'base64'));
      break;
    case 'boolean':
      writer.varint(number, value === true ? 1 : 0);
      break;
    case 'double':
      writer.double(number, value as number);
      break;
    case 'int32':
    case 'int64':
      writer.varint(number, value as number);
      break;
    case 'object':
      writer.bytes(number, writeNested(value, type.definition));
      break;
    default:
      throw malformed(`cannot write ${String(type satisfies never)}`);
  }
}

function writeNested(value: unknown, definition: Definition): Buffer {
  const writer = new WireWriter();
  const special = definition.special;
  switch (special) {
    case undefined:
      return writeMessage(value as JsonObject, wirePlanOf(definition));
    case 'quantity':
      writer.string(1, String(value));
      break;
    case 'time':
    case 'microTime': {
      const { seconds, nanos } = parseTimestamp(value as string);
      writer.varint(1, seconds);
      writer.varint(2, nanos);
      break;
    }
    case 'intOrString':
      writer.varint(1, typeof value === 'string' ? 1 : 0);
      writer.varint(2, typeof value === 'string' ? 0 : (value as number));
      writer.string(3, typeof value === 'string' ? value : '');
      break;
    case 'raw':
    case 'json':
      writer.string(1, JSON.stringify(value));
      break;
    case 'union':
      writeUnion(writer, value, definition);
      break;
    default:
      throw malformed(`cannot write ${String(special satisfies never)}`);
  }
  return writer.finish();
}

function writeUnion(writer: WireWriter, value: unknown, definition: Definition): void {
  const schema = schemaTable().definition(jsonSchemaProps);
  const orBool = definition.name.endsWith('OrBool');
  if (orBool) writer.varint(1, value === false ? 0 : 1);
  if (isObject(value)) writer.bytes(orBool ? 2 : 1, writeNested(value, schema));
  else if (Array.isArray(value)) {
    for (const entry of value) {
      if (typeof entry === 'string') writer.string(2, entry);
      else writer.bytes(2, writeNested(entry, schema));
    }
  }
}
