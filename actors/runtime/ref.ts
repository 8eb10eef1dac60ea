/** Where an actor lives; local and remote alike. Refs are plain data and travel inside messages. */
import type { NodeId } from '../../transport/index.js';

/** Every message is a member of a union that is discriminated on `type`. */
export interface Message {
  readonly type: string;
}

declare const accepts: unique symbol;

/** `M` is contravariant: a ref that accepts more messages can stand where one that accepts fewer is wanted. */
export interface ActorRef<in M extends Message> {
  readonly node: NodeId;
  /** `/scheduler`, `/controllers/deployment`, `/ask/17`. */
  readonly path: string;
  readonly [accepts]?: (message: M) => void;
}

export function actorRef<M extends Message>(node: NodeId, path: string): ActorRef<M> {
  return { node, path };
}

/** `kabuki://master-1/scheduler` */
export function addressOf(ref: { readonly node: NodeId; readonly path: string }): string {
  return `kabuki://${ref.node}${ref.path}`;
}
