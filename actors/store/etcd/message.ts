/**
 * Messages of protocol buffers as tables: name, number and kind of each field, from which messages are read and written and
 * from which TypeScript knows their shapes. Fields that are absent have proto3's defaults; message fields and members of a
 * `oneof` are undefined when absent. Unknown fields are skipped.
 */
import { etcdLimits } from './limits.js';
import { WireError, WireReader, type WireType, WireWriter } from './wire.js';

type Kind = 'bytes' | 'key' | 'string' | 'int64' | 'exact' | 'uint64' | 'bool' | 'enum' | 'message';

export interface Field<T> {
  readonly number: number;
  readonly kind: Kind;
  readonly repeated: boolean;
  /** Undefined when absent, written also when it has the default value. */
  readonly presence: boolean;
  readonly schema?: () => Schema<object>;
  /** Never there at run time: carries the type of the field. */
  readonly type?: T;
}

type Fields = Readonly<Record<string, Field<unknown>>>;

/** What a message has when it was read. */
export type Shape<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends Field<infer T> ? T : never;
};

export type MessageOf<S> = S extends Schema<infer T> ? T : never;

/** What a field holds; each takes the field's number. */
export const bytes = (number: number) => scalar<Uint8Array>(number, 'bytes');
/** `bytes` as a byte string, one UTF-16 code unit per byte: keys. */
export const key = (number: number) => scalar<string>(number, 'key');
export const text = (number: number) => scalar<string>(number, 'string');
export const int64 = (number: number) => scalar<number>(number, 'int64');
/** `int64`, and a bigint where a number does not hold it exactly: ids of leases. */
export const exactInt64 = (number: number) => scalar<number | bigint>(number, 'exact');
export const uint64 = (number: number) => scalar<number>(number, 'uint64');
export const bool = (number: number) => scalar<boolean>(number, 'bool');
export const enumeration = (number: number) => scalar<number>(number, 'enum');

export function embedded<T extends object>(
  number: number,
  schema: () => Schema<T>,
): Field<Partial<T> | undefined> {
  return { number, kind: 'message', repeated: false, presence: true, schema: schema as never };
}

/** A scalar of a `oneof`. */
export function chosen<T>(field: Field<T>): Field<T | undefined> {
  return { ...field, presence: true } as Field<T | undefined>;
}

export function repeated<T>(field: Field<T>): Field<readonly NonNullable<T>[]> {
  return { ...field, repeated: true, presence: false } as unknown as Field<readonly NonNullable<T>[]>;
}

export function message<F extends Fields>(name: string, fields: F): Schema<Shape<F>> {
  return new Schema<Shape<F>>(name, fields);
}

function scalar<T>(number: number, kind: Kind): Field<T> {
  return { number, kind, repeated: false, presence: false };
}

interface Slot extends Field<unknown> {
  readonly name: string;
  readonly wireType: WireType;
  readonly tag: number;
}

type Values = Record<string, unknown>;

const lengthDelimited: ReadonlySet<Kind> = new Set(['bytes', 'key', 'string', 'message']);
const none: readonly unknown[] = [];
const noBytes: Uint8Array = Buffer.alloc(0);
const writer = new WireWriter();

export class Schema<T extends object> {
  readonly name: string;
  /** By number, and in descending order of number, as the writer needs them. */
  readonly #byNumber: (Slot | undefined)[] = [];
  readonly #descending: readonly Slot[];
  readonly #defaults: Values = {};

  constructor(name: string, fields: Fields) {
    this.name = name;
    const slots = Object.entries(fields).map(([fieldName, field]): Slot => {
      const wireType = wireTypeOf(field.kind);
      return { ...field, name: fieldName, wireType, tag: field.number * 8 + wireType };
    });
    for (const slot of slots) {
      this.#byNumber[slot.number] = slot;
      this.#defaults[slot.name] = defaultOf(slot);
    }
    this.#descending = slots.toSorted((a, b) => b.number - a.number);
  }

  /** Throws WireError. Byte fields are views of `source`. */
  decode(source: Buffer): T {
    return this.read(new WireReader(source), 0);
  }

  /** The message behind `prefixBytes` unwritten bytes. Fields that are left out have their defaults. */
  encode(value: Partial<T>, prefixBytes = 0): Buffer {
    try {
      this.write(value);
    } catch (error) {
      writer.clear();
      throw error;
    }
    return writer.take(prefixBytes);
  }

  read(reader: WireReader, depth: number): T {
    if (depth > etcdLimits.messageDepthMax) throw new WireError(`${this.name} is nested too deeply`);
    const values = { ...this.#defaults };
    while (reader.position < reader.end) {
      const tag = reader.uint32();
      const slot = this.#byNumber[Math.floor(tag / 8)];
      const wireType = tag & 7;
      if (tag < 8) throw new WireError(`${this.name} has a field without a number`);
      if (!slot) reader.skip(wireType);
      else if (wireType === slot.wireType) this.#readField(reader, slot, values, depth);
      else if (wireType === 2 && slot.repeated) readPacked(reader, slot, values);
      else throw new WireError(`${this.name}.${slot.name} has wire type ${wireType}`);
    }
    return values as T;
  }

  #readField(reader: WireReader, slot: Slot, values: Values, depth: number): void {
    const value = slot.kind === 'message' ? readEmbedded(reader, slot, depth) : readScalar(reader, slot.kind);
    if (!slot.repeated) values[slot.name] = value;
    else append(values, slot.name, value);
  }

  write(value: Partial<T>): void {
    const values = value as Values;
    for (const slot of this.#descending) {
      const field = values[slot.name];
      if (field === undefined) continue;
      if (!slot.repeated) {
        writeField(slot, field);
        continue;
      }
      const items = field as readonly unknown[];
      for (let i = items.length - 1; i >= 0; i -= 1) writeField(slot, items[i], true);
    }
  }
}

function readEmbedded(reader: WireReader, slot: Slot, depth: number): unknown {
  const outerEnd = reader.end;
  reader.end = reader.lengthEnd();
  const value = slot.schema!().read(reader, depth + 1);
  reader.end = outerEnd;
  return value;
}

function readScalar(reader: WireReader, kind: Kind): unknown {
  switch (kind) {
    case 'int64':
    case 'enum':
      return reader.int64();
    case 'exact':
      return reader.exactInt64();
    case 'uint64':
      return reader.uint64();
    case 'bool':
      return reader.uint64() !== 0;
    default: {
      const start = reader.position;
      const end = reader.lengthEnd();
      const from = reader.position;
      reader.position = end;
      if (kind === 'key') return reader.bytes.toString('latin1', from, end);
      if (kind === 'bytes') return reader.bytes.subarray(from, end);
      if (kind === 'string') return reader.bytes.toString('utf8', from, end);
      throw new WireError(`no scalar at ${start}`);
    }
  }
}

function readPacked(reader: WireReader, slot: Slot, values: Values): void {
  const end = reader.lengthEnd();
  while (reader.position < end) append(values, slot.name, readScalar(reader, slot.kind));
  if (reader.position !== end) throw new WireError(`${slot.name} ends in the middle of a value`);
}

function append(values: Values, name: string, value: unknown): void {
  const items = values[name] as unknown[];
  if (items === none) values[name] = [value];
  else items.push(value);
}

function writeField(slot: Slot, value: unknown, always = slot.presence): void {
  if (slot.kind === 'message') {
    const before = writer.length;
    slot.schema!().write(value as object);
    writer.varint(writer.length - before);
  } else if (!writeScalar(slot.kind, value, always)) return;
  writer.varint(slot.tag);
}

/** False when the value is the default, which is not written. */
function writeScalar(kind: Kind, value: unknown, always: boolean): boolean {
  switch (kind) {
    case 'bool':
      if (value !== true && !always) return false;
      writer.varint(value === true ? 1 : 0);
      return true;
    case 'bytes':
      if ((value as Uint8Array).length === 0 && !always) return false;
      writer.bytes(value as Uint8Array);
      writer.varint((value as Uint8Array).length);
      return true;
    case 'key':
      if (value === '' && !always) return false;
      writer.latin1(value as string);
      writer.varint((value as string).length);
      return true;
    case 'string': {
      if (value === '' && !always) return false;
      const before = writer.length;
      writer.utf8(value as string);
      writer.varint(writer.length - before);
      return true;
    }
    case 'exact':
      if (value === 0 && !always) return false;
      writer.exactInt64(value as number | bigint);
      return true;
    default:
      if (value === 0 && !always) return false;
      writer.varint(value as number);
      return true;
  }
}

function wireTypeOf(kind: Kind): WireType {
  return lengthDelimited.has(kind) ? 2 : 0;
}

function defaultOf(slot: Slot): unknown {
  if (slot.repeated) return none;
  if (slot.presence) return undefined;
  if (slot.kind === 'bool') return false;
  if (slot.kind === 'bytes') return noBytes;
  return wireTypeOf(slot.kind) === 0 ? 0 : '';
}
