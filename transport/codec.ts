/**
 * Envelope <-> bytes. One envelope is `version (1 byte) | length (4 bytes, big endian) | MessagePack array`, so that
 * envelopes can be written one after the other into one chunk. Records and shared structures of msgpackr are off:
 * each envelope can be read alone. Byte strings in a body come back as Uint8Array views of the chunk, not as copies.
 */
import { Packr, RESERVE_START_SPACE, Unpackr } from 'msgpackr';
import type { Envelope, EnvelopeId, Incarnation, NodeId, TraceParent } from './envelope.js';
import { TransportError } from './errors.js';
import { envelopeLimits, linkLimits } from './limits.js';

const envelopeSchemaVersion = 1;

const headerBytes = 5;
const fieldCount = 13;

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, structuredClone: false });

/** Throws TransportError `too-large` or `unencodable`. */
export function encodeEnvelope(envelope: Envelope, bytesMax = linkLimits.envelopeBytesMax): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = packr.pack(fieldsOf(envelope), RESERVE_START_SPACE + headerBytes);
  } catch (error) {
    throw new TransportError(
      'unencodable',
      `the body of ${envelope.kind} to ${envelope.to}${envelope.toPath} cannot be encoded: ${text(error)}`,
      error,
    );
  }
  const length = bytes.length - headerBytes;
  if (length > bytesMax) {
    throw new TransportError(
      'too-large',
      `${envelope.kind} to ${envelope.to}${envelope.toPath} takes ${length} bytes, the limit is ${bytesMax}`,
    );
  }
  bytes[0] = envelopeSchemaVersion;
  bytes[1] = length >>> 24;
  bytes[2] = (length >>> 16) & 0xff;
  bytes[3] = (length >>> 8) & 0xff;
  bytes[4] = length & 0xff;
  return bytes;
}

/** Exactly one envelope. Throws TransportError `undecodable`, `schema-version` or `too-large`, and nothing else. */
export function decodeEnvelope(bytes: Uint8Array, bytesMax = linkLimits.envelopeBytesMax): Envelope {
  const envelopes = decodeEnvelopes(bytes, bytesMax);
  const [envelope] = envelopes;
  if (envelope === undefined || envelopes.length > 1) {
    throw new TransportError('undecodable', `expected one envelope, found ${envelopes.length}`);
  }
  return envelope;
}

/** All envelopes of a chunk, or an error if any of them is bad: a torn chunk comes from no well-behaved peer. */
export function decodeEnvelopes(chunk: Uint8Array, bytesMax = linkLimits.envelopeBytesMax): Envelope[] {
  const envelopes: Envelope[] = [];
  let offset = 0;
  while (offset < chunk.length) {
    if (chunk[offset] !== envelopeSchemaVersion) {
      throw new TransportError(
        'schema-version',
        `envelope version ${chunk[offset]}, this side speaks ${envelopeSchemaVersion}`,
      );
    }
    if (chunk.length - offset < headerBytes) throw new TransportError('undecodable', 'torn envelope header');
    const length =
      chunk[offset + 1]! * 0x1000000 +
      ((chunk[offset + 2]! << 16) | (chunk[offset + 3]! << 8) | chunk[offset + 4]!);
    if (length > bytesMax) {
      throw new TransportError('too-large', `an envelope of ${length} bytes, the limit is ${bytesMax}`);
    }
    offset += headerBytes;
    if (chunk.length - offset < length) throw new TransportError('undecodable', 'torn envelope');
    envelopes.push(decodeFields(plainView(chunk, offset, length)));
    offset += length;
  }
  return envelopes;
}

function fieldsOf(envelope: Envelope): unknown[] {
  return [
    envelope.id,
    envelope.cause ?? null,
    envelope.trace,
    envelope.lamport,
    envelope.from,
    envelope.fromPath,
    envelope.incarnation,
    envelope.to,
    envelope.toPath,
    envelope.kind,
    envelope.deadlineMs,
    envelope.body,
    // Room for a field of a later version without a new array length.
    null,
  ];
}

/** msgpackr hands out sub-views of its source; from a Buffer these would be Buffers, which are not what was sent. */
function plainView(chunk: Uint8Array, offset: number, length: number): Uint8Array {
  return new Uint8Array(chunk.buffer, chunk.byteOffset + offset, length);
}

function decodeFields(bytes: Uint8Array): Envelope {
  let fields: unknown;
  try {
    fields = unpackr.unpack(bytes);
  } catch (error) {
    throw new TransportError('undecodable', `not MessagePack: ${text(error)}`, error);
  }
  if (!Array.isArray(fields) || fields.length !== fieldCount) {
    throw new TransportError('undecodable', `an envelope is an array of ${fieldCount} fields`);
  }
  const [id, cause, trace, lamport, from, fromPath, incarnation, to, toPath, kind, deadlineMs, body] = fields;
  return {
    id: check('id', id, isId) as EnvelopeId,
    ...(cause === null ? {} : { cause: check('cause', cause, isId) as EnvelopeId }),
    trace: check('trace', trace, isTrace) as TraceParent,
    lamport: check('lamport', lamport, isCount),
    from: check('from', from, isNode) as NodeId,
    fromPath: check('fromPath', fromPath, isPath),
    incarnation: check('incarnation', incarnation, isCount) as Incarnation,
    to: check('to', to, isNode) as NodeId,
    toPath: check('toPath', toPath, isPath),
    kind: check('kind', kind, isKind),
    deadlineMs: check('deadlineMs', deadlineMs, isMoment),
    body,
  };
}

function check<T>(field: string, value: unknown, holds: (value: unknown) => value is T): T {
  if (!holds(value)) throw new TransportError('undecodable', `field ${field} of an envelope is invalid`);
  return value;
}

const idPattern = /^[a-z0-9][a-z0-9.-]*\/[0-9]+\/[0-9]+$/;
const tracePattern = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const nodePattern = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;

const isId = (v: unknown): v is string =>
  typeof v === 'string' && v.length <= envelopeLimits.idLengthMax && idPattern.test(v);
const isTrace = (v: unknown): v is string => typeof v === 'string' && tracePattern.test(v);
const isNode = (v: unknown): v is string => typeof v === 'string' && nodePattern.test(v);
const isPath = (v: unknown): v is string =>
  typeof v === 'string' && v.length <= envelopeLimits.pathLengthMax && v.startsWith('/');
const isKind = (v: unknown): v is string =>
  typeof v === 'string' && v.length > 0 && v.length <= envelopeLimits.kindLengthMax;
const isCount = (v: unknown): v is number => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0;
const isMoment = (v: unknown): v is number => typeof v === 'number' && Number.isFinite(v) && v >= 0;

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
