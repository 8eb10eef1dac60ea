/**
 * SPDY/3.1 frames as bytes (SPDY/3 draft §2.2, §2.6): 8 bytes of head, of which the first bit tells control frames
 * from data; header blocks stay compressed here.
 */
export type SpdyFrame =
  | {
      readonly type: 'SynStream';
      readonly streamId: number;
      readonly fin: boolean;
      readonly headerBlock: Buffer;
    }
  | {
      readonly type: 'SynReply' | 'Headers';
      readonly streamId: number;
      readonly fin: boolean;
      readonly headerBlock: Buffer;
    }
  | { readonly type: 'RstStream'; readonly streamId: number; readonly status: number }
  | { readonly type: 'Ping'; readonly id: number }
  | { readonly type: 'GoAway' }
  /** SETTINGS, WINDOW_UPDATE and what a later version may add. */
  | { readonly type: 'Other'; readonly code: number }
  | { readonly type: 'Data'; readonly streamId: number; readonly fin: boolean; readonly bytes: Buffer };

/** The peer does not speak SPDY/3.1; the connection cannot go on. */
export class SpdyError extends Error {
  readonly code = 'SPDY_PROTOCOL';
}

export const rstStatus = { protocolError: 1, refusedStream: 3, cancel: 5 } as const;

const headBytes = 8;
const version = 3;
const finFlag = 1;
const codes = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  ping: 6,
  goAway: 7,
  headers: 8,
} as const;

/** The first whole frame of `buffer` and its length; undefined while bytes are missing. Throws SpdyError. */
export function readFrame(
  buffer: Buffer,
  frameBytesMax: number,
): { readonly frame: SpdyFrame; readonly length: number } | undefined {
  if (buffer.length < headBytes) return undefined;
  const first = buffer.readUInt32BE(0);
  const flags = buffer.readUInt8(4);
  const size = buffer.readUIntBE(5, 3);
  if (size > frameBytesMax)
    throw new SpdyError(`a frame of ${size} bytes is over the limit ${frameBytesMax}`);
  const length = headBytes + size;
  if (buffer.length < length) return undefined;
  const payload = buffer.subarray(headBytes, length);
  const fin = (flags & finFlag) !== 0;
  if (first < 0x8000_0000) {
    return { frame: { type: 'Data', streamId: first, fin, bytes: payload }, length };
  }
  const spoken = (first >>> 16) & 0x7fff;
  if (spoken !== version) throw new SpdyError(`version ${spoken} is not spoken here, only ${version}`);
  return { frame: controlFrame(first & 0xffff, fin, payload), length };
}

function controlFrame(code: number, fin: boolean, payload: Buffer): SpdyFrame {
  const atLeast = (bytes: number) => {
    if (payload.length < bytes) throw new SpdyError(`a frame of type ${code} is cut short`);
  };
  const id = () => payload.readUInt32BE(0) & 0x7fff_ffff;
  switch (code) {
    case codes.synStream:
      atLeast(10);
      return { type: 'SynStream', streamId: id(), fin, headerBlock: payload.subarray(10) };
    case codes.synReply:
    case codes.headers: {
      atLeast(4);
      const type = code === codes.synReply ? 'SynReply' : 'Headers';
      return { type, streamId: id(), fin, headerBlock: payload.subarray(4) };
    }
    case codes.rstStream:
      atLeast(8);
      return { type: 'RstStream', streamId: id(), status: payload.readUInt32BE(4) };
    case codes.ping:
      atLeast(4);
      return { type: 'Ping', id: payload.readUInt32BE(0) };
    case codes.goAway:
      return { type: 'GoAway' };
    default:
      return { type: 'Other', code };
  }
}

export function dataFrame(streamId: number, bytes: Uint8Array, fin = false): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(streamId, 0);
  head.writeUInt8(fin ? finFlag : 0, 4);
  head.writeUIntBE(bytes.length, 5, 3);
  return Buffer.concat([head, bytes]);
}

export function synStreamFrame(streamId: number, headerBlock: Uint8Array): Buffer {
  return control(codes.synStream, Buffer.concat([words(streamId, 0), Buffer.alloc(2), headerBlock]));
}

export function synReplyFrame(streamId: number, headerBlock: Uint8Array): Buffer {
  return control(codes.synReply, Buffer.concat([words(streamId), headerBlock]));
}

export function rstStreamFrame(streamId: number, status: number): Buffer {
  return control(codes.rstStream, words(streamId, status));
}

export function pingFrame(id: number): Buffer {
  return control(codes.ping, words(id));
}

/** `lastStreamId`: streams above it were not looked at. */
export function goAwayFrame(lastStreamId: number): Buffer {
  return control(codes.goAway, words(lastStreamId, 0));
}

function control(code: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(((0x8000 | version) * 0x1_0000 + code) >>> 0, 0);
  head.writeUIntBE(payload.length, 5, 3);
  return Buffer.concat([head, payload]);
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, index * 4);
  return bytes;
}
