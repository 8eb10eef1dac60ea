/**
 * What goes around an object in `application/vnd.kubernetes.protobuf`: four magic bytes, then runtime.Unknown {typeMeta, raw,
 * contentEncoding, contentType}, whose raw is the object's message.
 */
import { ObjectError } from './errors.js';
import { malformed, textOf, WireReader } from './protobuf-wire.js';

const magic = Uint8Array.from([0x6b, 0x38, 0x73, 0x00]);

export interface ProtobufEnvelope {
  /** '' when it does not say. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly raw: Uint8Array;
}

export function isProtobuf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && magic.every((byte, index) => bytes[index] === byte);
}

/** Throws MALFORMED and UNSUPPORTED_MEDIA_TYPE. */
export function readEnvelope(bytes: Uint8Array): ProtobufEnvelope {
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
        if (tag.number === 1 && tag.wire === 2) apiVersion = textOf(typeMeta.bytes());
        else if (tag.number === 2 && tag.wire === 2) kind = textOf(typeMeta.bytes());
        else typeMeta.skip(tag.wire);
      }
    } else if (number === 2 && wire === 2) raw = reader.bytes();
    else if (number === 3 && wire === 2) {
      const encoding = textOf(reader.bytes());
      if (encoding !== '') {
        throw new ObjectError('UNSUPPORTED_MEDIA_TYPE', `content encoding "${encoding}" is not supported`);
      }
    } else reader.skip(wire);
  }
  return { apiVersion, kind, raw };
}
