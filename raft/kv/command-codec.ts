/**
 * Commands as the bytes of a Raft entry. Binary and versioned by its first byte; every command of a group
 * passes here twice on every member, so it writes into one reused buffer and reads without intermediate
 * objects. Decoded values are views of the entry's bytes, since a copy costs more than all the rest; but a
 * value never keeps alive much more than itself: a command in a larger buffer (a network frame) is copied
 * out of it first, and so is a small value in a large command.
 */
import { ByteReader, ByteWriter, MalformedBytes } from '../disk/index.js';
import { readAuthChange, readCaller, writeAuthChange, writeCaller } from './auth-codec.js';
import { KvError } from './errors.js';
import { isLeaseId } from './lease-id.js';
import { KV_LIMITS } from './limits.js';
import type {
  Command,
  CommandBatch,
  Compare,
  Key,
  KeyRange,
  Op,
  RangeOp,
  SingleCommand,
  TxnOp,
} from './types.js';
import { leaseId, revision } from './types.js';

const FORMAT_VERSION = 1;
/** With a caller behind the context. */
const FORMAT_OF_CALLERS = 2;
/** A number of commands in the formats above, each behind its length. */
const FORMAT_OF_BATCHES = 3;
const COMMANDS = [
  'txn',
  'compact',
  'lease-grant',
  'lease-renew',
  'lease-revoke',
  'alarm',
  'clock',
  'auth',
] as const;
const ALARM_ACTIONS = ['raise', 'disarm'] as const;
export const ALARM_TYPES = ['NoSpace', 'Corrupt'] as const;
const OPS = ['range', 'put', 'delete', 'txn'] as const;
const TARGETS = ['version', 'create', 'mod', 'value', 'lease'] as const;
const RESULTS = ['=', '!=', '<', '>'] as const;
/** Of operands. */
const NUMBER = 0;
const BYTES = 1;
const INTEGER = 2;
const SORT_TARGETS = ['key', 'version', 'create', 'mod', 'value'] as const;
const ORDERS = ['ascend', 'descend'] as const;
/** How many times its own size a value may keep in memory. */
const KEPT_ALIVE_FACTOR_MAX = 4;
const NOT_BYTES = /[^\0-\xff]/;

const shared = new ByteWriter(4096);

/** Throws `KvError`: InvalidArgument for what cannot be encoded, RequestTooLarge beyond `commandBytesMax`. */
export function encodeCommand(command: Command): Uint8Array {
  if (command.type === 'batch') return encodeBatch(command.commands.map((one) => encodeCommand(one)));
  const out = shared;
  out.clear();
  out.u8(command.caller === undefined ? FORMAT_VERSION : FORMAT_OF_CALLERS);
  out.u8(codeOf(COMMANDS, command.type));
  out.f64(finite('atMs', command.atMs));
  out.utf8(command.context ?? '');
  if (command.caller !== undefined) writeCaller(out, command.caller);
  switch (command.type) {
    case 'txn':
      writeTxn(out, command.txn, 0);
      break;
    case 'compact':
      out.varint(whole('revision', command.revision));
      break;
    case 'lease-grant':
      out.int64(leaseOf('id', command.id));
      out.f64(finite('ttlMs', command.ttlMs));
      break;
    case 'lease-renew':
      out.int64(leaseOf('id', command.id));
      break;
    case 'lease-revoke':
      out.int64(leaseOf('id', command.id));
      out.u8(command.reason === 'expired' ? 1 : 0);
      break;
    case 'alarm':
      out.u8(codeOf(ALARM_ACTIONS, command.action));
      out.u8(codeOf(ALARM_TYPES, command.alarm.type));
      out.utf8(command.alarm.member);
      break;
    case 'clock':
      break;
    case 'auth':
      writeAuthChange(out, command.change);
      break;
    default:
      command satisfies never;
  }
  return encoded(out);
}

/** Of transactions that are encoded already. Throws as `encodeCommand`. */
export function encodeBatch(commands: readonly Uint8Array[]): Uint8Array {
  const out = shared;
  out.clear();
  out.u8(FORMAT_OF_BATCHES);
  out.varint(commands.length);
  for (const command of commands) out.bytes(command);
  return encoded(out);
}

function encoded(out: ByteWriter): Uint8Array {
  if (out.length > KV_LIMITS.commandBytesMax) {
    throw new KvError('RequestTooLarge', 'etcdserver: request is too large');
  }
  return out.toBytes();
}

/**
 * Throws `KvError` InvalidArgument, naming the byte, when the bytes are not a command. The caller leaves
 * the bytes unchanged from here on.
 */
export function decodeCommand(bytes: Uint8Array): Command {
  try {
    const isOwn = bytes.buffer.byteLength <= bytes.length * 2;
    const reader = new ByteReader(isOwn ? bytes : new Uint8Array(bytes));
    const version = reader.u8();
    const command = version === FORMAT_OF_BATCHES ? readBatch(reader) : readCommand(reader, version);
    reader.expectEnd();
    return command;
  } catch (cause) {
    if (!(cause instanceof MalformedBytes)) throw cause;
    throw new KvError('InvalidArgument', `not a command: ${cause.message}`);
  }
}

function readBatch(reader: ByteReader): CommandBatch {
  const commands: CommandBatch['commands'][number][] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const end = reader.varint() + reader.offset;
    const command = readCommand(reader, reader.u8());
    if (command.type !== 'txn') reader.fail(`a ${command.type} among the transactions of a batch`);
    if (reader.offset !== end) reader.fail(`a transaction that should end at ${end}`);
    commands.push(command);
  }
  return { type: 'batch', commands };
}

function readCommand(reader: ByteReader, version: number): SingleCommand {
  if (version !== FORMAT_VERSION && version !== FORMAT_OF_CALLERS)
    reader.fail(`command format ${version}, this program reads ${FORMAT_VERSION} and ${FORMAT_OF_CALLERS}`);
  const type = readCode(reader, COMMANDS, 'command');
  const atMs = reader.f64();
  const context = reader.utf8();
  const caller = version === FORMAT_OF_CALLERS ? readCaller(reader) : undefined;
  if (type === 'txn' && context === '') {
    const txn = readTxn(reader, 0);
    return caller === undefined ? { type, atMs, txn } : { type, atMs, caller, txn };
  }
  const head = { atMs, ...(context !== '' && { context }), ...(caller && { caller }) };
  switch (type) {
    case 'txn':
      return { ...head, type, txn: readTxn(reader, 0) };
    case 'compact':
      return { ...head, type, revision: revision(reader.varint()) };
    case 'lease-grant':
      return { ...head, type, id: leaseId(reader.int64()), ttlMs: reader.f64() };
    case 'lease-renew':
      return { ...head, type, id: leaseId(reader.int64()) };
    case 'lease-revoke': {
      const id = leaseId(reader.int64());
      return reader.u8() === 1 ? { ...head, type, id, reason: 'expired' } : { ...head, type, id };
    }
    case 'alarm': {
      const action = readCode(reader, ALARM_ACTIONS, 'alarm action');
      const alarm = { type: readCode(reader, ALARM_TYPES, 'alarm'), member: reader.utf8() };
      return { ...head, type, action, alarm };
    }
    case 'clock':
      return { ...head, type };
    case 'auth':
      return { ...head, type, change: readAuthChange(reader) };
    default:
      return type satisfies never;
  }
}

function writeTxn(out: ByteWriter, txn: TxnOp, depth: number): void {
  if (depth > KV_LIMITS.txnDepthMax) refuse(`transactions are nested deeper than ${KV_LIMITS.txnDepthMax}`);
  out.varint(txn.compare.length);
  for (const compare of txn.compare) writeCompare(out, compare);
  out.varint(txn.success.length);
  for (const op of txn.success) writeOp(out, op, depth);
  out.varint(txn.failure.length);
  for (const op of txn.failure) writeOp(out, op, depth);
}

function readTxn(reader: ByteReader, depth: number): TxnOp {
  if (depth > KV_LIMITS.txnDepthMax)
    reader.fail(`transactions are nested deeper than ${KV_LIMITS.txnDepthMax}`);
  const compare: Compare[] = [];
  for (let left = reader.varint(); left > 0; left--) compare.push(readCompare(reader));
  const success: Op[] = [];
  for (let left = reader.varint(); left > 0; left--) success.push(readOp(reader, depth));
  const failure: Op[] = [];
  for (let left = reader.varint(); left > 0; left--) failure.push(readOp(reader, depth));
  return { type: 'txn', compare, success, failure };
}

function writeCompare(out: ByteWriter, compare: Compare): void {
  writeKeyRange(out, compare);
  out.u8(codeOf(TARGETS, compare.target));
  out.u8(codeOf(RESULTS, compare.result));
  if (typeof compare.operand === 'number') {
    out.u8(NUMBER);
    out.f64(finite('operand', compare.operand));
  } else if (typeof compare.operand === 'bigint') {
    out.u8(INTEGER);
    out.int64(leaseOf('operand', compare.operand));
  } else {
    out.u8(BYTES);
    out.bytes(compare.operand);
  }
}

function readCompare(reader: ByteReader): Compare {
  const range = readKeyRange(reader);
  const target = readCode(reader, TARGETS, 'compare target');
  const result = readCode(reader, RESULTS, 'compare result');
  return { ...range, target, result, operand: readOperand(reader) };
}

function readOperand(reader: ByteReader): Compare['operand'] {
  const kind = reader.u8();
  if (kind === NUMBER) return reader.f64();
  return kind === INTEGER ? leaseId(reader.int64()) : reader.bytes();
}

function writeOp(out: ByteWriter, op: Op, depth: number): void {
  out.u8(codeOf(OPS, op.type));
  switch (op.type) {
    case 'range':
      writeRange(out, op);
      return;
    case 'put':
      out.latin1(checkedKey(op.key));
      out.u8(flags(op.prevKv, op.ignoreValue, op.ignoreLease));
      out.int64(leaseOf('lease', op.lease ?? 0));
      out.bytes(op.value);
      return;
    case 'delete':
      writeKeyRange(out, op);
      out.u8(flags(op.prevKv));
      return;
    case 'txn':
      writeTxn(out, op, depth + 1);
      return;
    default:
      op satisfies never;
  }
}

function readOp(reader: ByteReader, depth: number): Op {
  const type = readCode(reader, OPS, 'operation');
  switch (type) {
    case 'range':
      return readRange(reader);
    case 'put': {
      const key = reader.latin1();
      const bits = reader.u8();
      const lease = leaseId(reader.int64());
      const value = readValue(reader);
      if (bits === 0 && lease === 0) return { type, key, value };
      return {
        type,
        key,
        value,
        lease,
        prevKv: (bits & 1) !== 0,
        ignoreValue: (bits & 2) !== 0,
        ignoreLease: (bits & 4) !== 0,
      };
    }
    case 'delete':
      return { type, ...readKeyRange(reader), prevKv: (reader.u8() & 1) !== 0 };
    case 'txn':
      return readTxn(reader, depth + 1);
    default:
      return type satisfies never;
  }
}

function readValue(reader: ByteReader): Uint8Array {
  const value = reader.view();
  return value.length * KEPT_ALIVE_FACTOR_MAX < value.buffer.byteLength ? new Uint8Array(value) : value;
}

function writeRange(out: ByteWriter, op: RangeOp): void {
  writeKeyRange(out, op);
  out.u8(flags(op.keysOnly, op.countOnly, op.sort !== undefined));
  out.varint(whole('revision', op.revision ?? 0));
  out.varint(whole('limit', op.limit ?? 0));
  out.varint(whole('minModRevision', op.minModRevision ?? 0));
  out.varint(whole('maxModRevision', op.maxModRevision ?? 0));
  out.varint(whole('minCreateRevision', op.minCreateRevision ?? 0));
  out.varint(whole('maxCreateRevision', op.maxCreateRevision ?? 0));
  if (op.sort === undefined) return;
  out.u8(codeOf(SORT_TARGETS, op.sort.target));
  out.u8(codeOf(ORDERS, op.sort.order));
}

function readRange(reader: ByteReader): RangeOp {
  const range = readKeyRange(reader);
  const bits = reader.u8();
  const op: RangeOp = {
    type: 'range',
    ...range,
    keysOnly: (bits & 1) !== 0,
    countOnly: (bits & 2) !== 0,
    revision: revision(reader.varint()),
    limit: reader.varint(),
    minModRevision: revision(reader.varint()),
    maxModRevision: revision(reader.varint()),
    minCreateRevision: revision(reader.varint()),
    maxCreateRevision: revision(reader.varint()),
  };
  if ((bits & 4) === 0) return op;
  const target = readCode(reader, SORT_TARGETS, 'sort target');
  return { ...op, sort: { target, order: readCode(reader, ORDERS, 'sort order') } };
}

/** An absent range end is written as an empty one: both mean the single key. */
function writeKeyRange(out: ByteWriter, range: KeyRange): void {
  out.latin1(checkedKey(range.key));
  out.latin1(checkedKey(range.rangeEnd ?? ''));
}

function readKeyRange(reader: ByteReader): KeyRange {
  const key = reader.latin1();
  const rangeEnd = reader.latin1();
  return rangeEnd === '' ? { key } : { key, rangeEnd };
}

function checkedKey(key: Key): Key {
  if (NOT_BYTES.test(key))
    refuse(`the key ${JSON.stringify(key)} is not a byte string: encode it as latin1 of its bytes`);
  return key;
}

function flags(...bits: readonly (boolean | undefined)[]): number {
  return bits.reduce<number>((sum, bit, at) => (bit === true ? sum | (1 << at) : sum), 0);
}

function codeOf<T extends string>(names: readonly T[], name: T): number {
  const code = names.indexOf(name);
  if (code < 0) refuse(`${JSON.stringify(name)} is none of ${names.join(', ')}`);
  return code;
}

function readCode<T extends string>(reader: ByteReader, names: readonly T[], what: string): T {
  const code = reader.u8();
  return names[code] ?? reader.fail(`unknown ${what} ${code}`);
}

function whole(field: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0)
    refuse(`${field} ${value} is not a non-negative safe integer`);
  return value;
}

function leaseOf(field: string, id: number | bigint): number | bigint {
  if (!isLeaseId(id)) refuse(`${field} ${id} is not a 64-bit integer`);
  return id;
}

function finite(field: string, value: number): number {
  if (!Number.isFinite(value)) refuse(`${field} ${value} is not a finite number`);
  return value;
}

function refuse(what: string): never {
  throw new KvError('InvalidArgument', `etcdserver: ${what}`);
}
