/**
 * The frames of the ZeroMQ link. The first part of a message is one byte that tells its type; handshake frames carry
 * one small JSON object, letters carry chunks of encoded envelopes. Everything that comes in is validated here.
 *
 *   A's DEALER -> B's ROUTER   hello      who I am, of which cluster, where I listen
 *   B's DEALER -> A's ROUTER   challenge  a token that only the true A can read (with CURVE) or receive
 *   A's DEALER -> B's ROUTER   prove      the token: from now on this connection speaks for A
 *   B's ROUTER -> A's DEALER   welcome    letters may flow from A to B (or refuse, with the reason)
 *   B's ROUTER -> A's DEALER   reset      I do not know this connection: say hello again
 */
import { TransportError, type TransportErrorCode, transportErrorCodes } from '../errors.js';
import { type Incarnation, type NodeId, nodeId } from '../envelope.js';

export const linkProtocolVersion = 1;
export const controlFrameBytesMax = 4096;

export const frameTypes = {
  hello: 'H',
  challenge: 'C',
  prove: 'P',
  welcome: 'W',
  refuse: 'R',
  reset: 'X',
  letters: 'E',
  beat: 'B',
  goodbye: 'G',
} as const;

export type FrameType = keyof typeof frameTypes;

export interface Hello {
  readonly protocol: number;
  readonly cluster: string;
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly address: string;
}

export interface Challenge {
  readonly cluster: string;
  readonly node: NodeId;
  /** The incarnation that is asked for proof; an older or newer one ignores the challenge. */
  readonly asked: Incarnation;
  readonly token: string;
}

export interface Welcome {
  readonly protocol: number;
  readonly cluster: string;
  readonly node: NodeId;
  readonly incarnation: Incarnation;
}

export interface Refusal {
  readonly code: TransportErrorCode;
  readonly message: string;
}

const typesByByte = new Map(
  Object.entries(frameTypes).map(([type, byte]) => [byte as string, type as FrameType]),
);

export function frameTypeOf(part: Uint8Array | undefined): FrameType {
  const type = part?.length === 1 ? typesByByte.get(String.fromCharCode(part[0]!)) : undefined;
  if (type === undefined) throw new TransportError('undecodable', 'the first part is no frame type');
  return type;
}

export function controlFrame(type: FrameType, content?: object): (string | Uint8Array)[] {
  return content === undefined ? [frameTypes[type]] : [frameTypes[type], JSON.stringify(content)];
}

export function readHello(parts: readonly Uint8Array[]): Hello {
  const content = readContent(parts);
  return {
    protocol: count(content, 'protocol'),
    cluster: string(content, 'cluster', 128),
    node: node(content),
    incarnation: count(content, 'incarnation') as Incarnation,
    address: string(content, 'address', 256),
  };
}

export function readChallenge(parts: readonly Uint8Array[]): Challenge {
  const content = readContent(parts);
  return {
    cluster: string(content, 'cluster', 128),
    node: node(content),
    asked: count(content, 'asked') as Incarnation,
    token: string(content, 'token', 64),
  };
}

export function readToken(parts: readonly Uint8Array[]): string {
  return string(readContent(parts), 'token', 64);
}

export function readWelcome(parts: readonly Uint8Array[]): Welcome {
  const content = readContent(parts);
  return {
    protocol: count(content, 'protocol'),
    cluster: string(content, 'cluster', 128),
    node: node(content),
    incarnation: count(content, 'incarnation') as Incarnation,
  };
}

export function readRefusal(parts: readonly Uint8Array[]): Refusal {
  const content = readContent(parts);
  const code = string(content, 'code', 64);
  if (!Object.hasOwn(transportErrorCodes, code)) throw bad('code');
  return { code: code as TransportErrorCode, message: string(content, 'message', 1024) };
}

function readContent(parts: readonly Uint8Array[]): Record<string, unknown> {
  const [part] = parts;
  if (part === undefined || parts.length !== 1)
    throw new TransportError('undecodable', 'expected one content part');
  if (part.length > controlFrameBytesMax) {
    throw new TransportError('too-large', `a control frame of ${part.length} bytes`);
  }
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(part.buffer, part.byteOffset, part.length).toString('utf8'));
  } catch (error) {
    throw new TransportError('undecodable', 'the content part is no JSON', error);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new TransportError('undecodable', 'the content part is no JSON object');
  }
  return content as Record<string, unknown>;
}

function string(content: Record<string, unknown>, field: string, lengthMax: number): string {
  const value = content[field];
  if (typeof value !== 'string' || value.length === 0 || value.length > lengthMax) throw bad(field);
  return value;
}

function count(content: Record<string, unknown>, field: string): number {
  const value = content[field];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw bad(field);
  return value;
}

function node(content: Record<string, unknown>): NodeId {
  try {
    return nodeId(string(content, 'node', 63));
  } catch (error) {
    throw new TransportError('undecodable', 'field node of a control frame is no node id', error);
  }
}

function bad(field: string): TransportError {
  return new TransportError('undecodable', `field ${field} of a control frame is invalid`);
}
