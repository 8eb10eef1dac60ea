/**
 * Objects as `application/vnd.kubernetes.protobuf`, by the schema table, field for field as Go writes them: what client-go sends. The
 * product reads these bytes, and writes none.
 */
import type { Definition, FieldType, JsonObject } from '../../../actors/objects/index.js';
import type { ProtobufEnvelope } from '../../../actors/objects/protobuf-envelope.js';
import { unionSchema, type WirePlan, wirePlanOf } from '../../../actors/objects/protobuf-plan.js';
import { malformed, type WireType } from '../../../actors/objects/protobuf-wire.js';
import { parseTimestamp } from '../../../actors/objects/time.js';
import { isObject, zeroOf } from '../../../actors/objects/typed.js';

/** The object must be typed (see typed.ts). */
export function encodeProtobuf(object: JsonObject, definition: Definition): Buffer {
  const { apiVersion, kind } = object;
  return writeEnvelope({
    apiVersion: typeof apiVersion === 'string' ? apiVersion : '',
    kind: typeof kind === 'string' ? kind : '',
    raw: writeMessage(object, wirePlanOf(definition)),
  });
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
  const schema = unionSchema();
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

const magic = Uint8Array.from([0x6b, 0x38, 0x73, 0x00]);

function writeEnvelope({ apiVersion, kind, raw }: ProtobufEnvelope): Buffer {
  const typeMeta = new WireWriter();
  typeMeta.string(1, apiVersion);
  typeMeta.string(2, kind);
  const envelope = new WireWriter();
  envelope.bytes(1, typeMeta.finish());
  envelope.bytes(2, raw);
  envelope.string(3, '');
  envelope.string(4, '');
  return Buffer.concat([magic, envelope.finish()]);
}

class WireWriter {
  #chunks: Uint8Array[] = [];

  varint(number: number, value: number | bigint): void {
    this.#tag(number, 0);
    this.#push(encodeVarint(BigInt.asUintN(64, BigInt(value))));
  }

  double(number: number, value: number): void {
    this.#tag(number, 1);
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    this.#push(bytes);
  }

  bytes(number: number, value: Uint8Array): void {
    this.#tag(number, 2);
    this.#push(encodeVarint(BigInt(value.byteLength)));
    this.#push(value);
  }

  string(number: number, value: string): void {
    this.bytes(number, Buffer.from(value, 'utf8'));
  }

  finish(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  #tag(number: number, wire: WireType): void {
    this.#push(encodeVarint(BigInt(number * 8 + wire)));
  }

  #push(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
  }
}

function encodeVarint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}
