/**
 * What an actor, or a callback, asks of a message from another machine before it believes that it is one: a table with a check
 * for each field of each type (raft-consensus: shape.ts). What does not pass is refused (`ctx.refuse`, `system.refuse`).
 */
import { type Check, isRecord, wrongField } from 'raft-consensus';
import { isNodeId } from '../../transport/index.js';

/** By message type. */
export type MessageShapes = Readonly<Record<string, Readonly<Record<string, Check>>>>;

const pathLengthMax = 512;
const nameLengthMax = 64;

/** What is wrong with `message`; undefined: it is what its type says. */
export function misshapen(message: unknown, shapes: MessageShapes): string | undefined {
  if (!isRecord(message)) return 'it is no message';
  const { type } = message;
  if (typeof type !== 'string' || !Object.hasOwn(shapes, type)) {
    const name = typeof type === 'string' ? type.slice(0, nameLengthMax) : typeof type;
    return `no message of type ${name} is taken here`;
  }
  const path = wrongField(message, shapes[type]!);
  return path === undefined ? undefined : `${type}${path} is absent or not what it should be`;
}

/** An ActorRef: somebody to be answered and to be watched. */
export const refShape: Check = (value) => {
  if (!isRecord(value)) return '';
  const { node, path } = value;
  if (typeof node !== 'string' || !isNodeId(node)) return '.node';
  return typeof path === 'string' && path.startsWith('/') && path.length <= pathLengthMax
    ? undefined
    : '.path';
};
